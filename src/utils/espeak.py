"""eSpeak NG through ctypes: text in, waveform out, the same bits for the same arguments.

    >>> waveform = EspeakSynthesizer().synthesize("hello", Voice("en-us", "f2", rate=160))
    >>> waveform.dtype, waveform.min() >= -1
    (dtype('float32'), True)

The library and its data come with the wheel `espeakng-loader`; nothing else is needed. The C
functions are described in `speak_lib.h` of https://github.com/espeak-ng/espeak-ng (1.52).
"""

from __future__ import annotations

import _ctypes
import atexit
import ctypes
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from src.utils.errors import UserError

SAMPLE_RATE = 22050

# Accent -> its file in the wheel.
LANGUAGES = {
    "en-us": "en-US",
    "en-us-nyc": "en-US-nyc",
    "en-gb": "en",
    "en-gb-x-rp": "en-GB-x-rp",
    "en-gb-scotland": "en-GB-scotland",
    "en-029": "en-029",
}

# speak_lib.h
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4

# At eSpeak's default of 100 some voices reach full scale, where it turns its gain down mid-word.
_SAFE_VOLUME = 40

_IPA, _PARTED_BY = 2, ord("_") << 8

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_LOCK = threading.Lock()
# A worker forked while another thread speaks must not inherit a lock that nobody will release.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )


@dataclass(frozen=True)
class Voice:
    """Who speaks, and how.

    Args:
        language: accent, a key of `LANGUAGES`.
        variant: speaker, a file of `espeak-ng-data/voices/!v` in the wheel: m1, f2, Andrea, ...
        rate: words per minute, 80 to 450.
        pitch: 0 to 99; 50 is the speaker's own, 0 and 99 are an octave below and above.
        pitch_range: 0 (monotone) to 99; 50 is the speaker's own.
    """

    language: str
    variant: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50

    @property
    def speaker(self) -> str:
        """Accent and speaker as eSpeak writes them: en-us+f2."""
        return f"{self.language}+{self.variant}"


class EspeakSynthesizer:
    """Speaks from any thread and any process, forked or spawned.

    Raises:
        UserError: the wheel `espeakng-loader` is not installed.
    """

    def __init__(self) -> None:
        self._library_path, self._data_path = _english_engine()

    @property
    def variants(self) -> list[str]:
        """Speakers that exist, some of them robots and whisperers."""
        return sorted(path.name for path in (self._data_path / "voices/!v").iterdir())

    def synthesize(self, text: str, voice: Voice) -> np.ndarray:
        """Waveform [S], float32 in [-1, 1], at 22050 Hz.

        Raises:
            UserError: no such language, variant, rate, pitch or range.
        """
        self._check(voice)
        chunks: list[bytes] = []

        def collect(samples: int | None, count: int, _events: int) -> int:
            if samples and count > 0:
                chunks.append(ctypes.string_at(samples, 2 * count))
            return 0

        callback = _Callback(collect)
        with _LOCK, _fresh_library(self._library_path) as espeak:
            self._initialize(espeak)
            espeak.espeak_SetSynthCallback(callback)
            _seed_noise(espeak)
            espeak.espeak_SetVoiceByName(voice.speaker.encode())
            espeak.espeak_SetParameter(_RATE, voice.rate, 0)
            espeak.espeak_SetParameter(_VOLUME, _SAFE_VOLUME, 0)
            espeak.espeak_SetParameter(_PITCH, voice.pitch, 0)
            espeak.espeak_SetParameter(_RANGE, voice.pitch_range, 0)
            utf8 = text.encode() + b"\0"
            espeak.espeak_Synth(utf8, ctypes.c_size_t(len(utf8)), 0, 1, 0, _CHARS_UTF8, None, None)
            espeak.espeak_Terminate()
        return np.frombuffer(b"".join(chunks), dtype="<i2").astype(np.float32) / 32768

    def phonemes(self, words: Sequence[str], language: str = "en-us") -> list[str]:
        """How each word is said alone: IPA, its sounds parted by `_`."""
        with _LOCK, _fresh_library(self._library_path) as espeak:
            self._initialize(espeak)
            espeak.espeak_SetVoiceByName(language.encode())
            espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
            said = [_phonemes_of(espeak, word) for word in words]
            espeak.espeak_Terminate()
        return said

    def _initialize(self, espeak: ctypes.CDLL) -> None:
        rate = espeak.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, os.fsencode(self._data_path), _INITIALIZE_DONT_EXIT
        )
        if rate != SAMPLE_RATE:
            raise UserError(
                f"eSpeak cannot read its data in {self._data_path}: "
                "point TMPDIR at a writable folder with a short path."
            )

    def _check(self, voice: Voice) -> None:
        """eSpeak itself takes wrong values for the nearest right ones, without a word."""
        if voice.language not in LANGUAGES:
            raise UserError(f"no language {voice.language!r}: use one of {', '.join(LANGUAGES)}.")
        if not (self._data_path / "voices/!v" / voice.variant).is_file():
            raise UserError(
                f"no voice variant {voice.variant!r}: use one of {', '.join(self.variants)}."
            )
        for name, value, low, high in (
            ("rate", voice.rate, 80, 450),
            ("pitch", voice.pitch, 0, 99),
            ("pitch_range", voice.pitch_range, 0, 99),
        ):
            if not low <= value <= high:
                raise UserError(f"{name}={value}: use a whole number from {low} to {high}.")


@contextmanager
def _fresh_library(path: Path) -> Iterator[ctypes.CDLL]:
    """The library as just loaded, and unloaded afterwards.

    eSpeak keeps the phase of its pitch flutter, its gain control and its resonators in static
    variables that neither espeak_Terminate nor a change of voice resets: the second call would
    sound different from the first. Loading anew costs a millisecond.
    """
    library = ctypes.CDLL(str(path))
    try:
        yield library
    finally:
        _ctypes.dlclose(library._handle)


def _phonemes_of(espeak: ctypes.CDLL, word: str) -> str:
    """eSpeak moves `left` on by a clause a call, and past the end sets it to null."""
    left = ctypes.c_char_p(word.encode())
    clauses = []
    while left.value:
        said = espeak.espeak_TextToPhonemes(ctypes.byref(left), _CHARS_UTF8, _IPA | _PARTED_BY)
        clauses.append(said.decode())
    return "_".join(clauses)


def _seed_noise(espeak: ctypes.CDLL) -> None:
    """Breath noise comes from a generator that eSpeak seeds with the time, or from C's rand()."""
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))
    ctypes.CDLL(None).srand(1)


@cache
def _english_engine() -> tuple[Path, Path]:
    """Paths of the library and of a folder with what English needs of the wheel's data.

    Under these names eSpeak opens a voice at once; in the wheel's own folder, where en-us is
    called en-US, each fresh library would read all 240 voice files first, which takes longer
    than the speech. Besides, eSpeak cuts paths at 160 bytes, and virtual environments lie deep.
    """
    try:
        import espeakng_loader
    except ImportError:
        raise UserError(
            "synthetic speech needs eSpeak NG: pip install espeakng-loader==0.2.4"
        ) from None
    wheel = Path(espeakng_loader.get_data_path())
    folder = Path(tempfile.mkdtemp(prefix="espeak-"))
    atexit.register(_remove, folder, os.getpid())
    for name in ("phondata", "phonindex", "phontab", "intonations", "en_dict"):
        shutil.copyfile(wheel / name, folder / name)
    shutil.copytree(wheel / "voices", folder / "voices")
    (folder / "lang").mkdir()
    for language, name in LANGUAGES.items():
        shutil.copyfile(wheel / "lang/gmw" / name, folder / "lang" / language)
    return Path(espeakng_loader.get_library_path()), folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # and not a forked worker, which inherits the exit handlers
        shutil.rmtree(folder, ignore_errors=True)
