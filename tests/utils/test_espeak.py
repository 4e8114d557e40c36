from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from src.utils import espeak as espeak_module
from src.utils.errors import UserError
from src.utils.espeak import LANGUAGES, SAMPLE_RATE, EspeakSynthesizer, Voice

REPO = Path(__file__).resolve().parents[2]
TEXT = "the quick brown fox jumps over the lazy dog"
# Roughness and flutter, breath (random noise), a Klatt synthesiser, echo, plain.
VOICES = [
    Voice(language, variant, rate, pitch)
    for language, variant, rate, pitch in (
        ("en-us", "f1", 150, 40),
        ("en-gb", "whisper", 140, 50),
        ("en-us", "klatt3", 170, 60),
        ("en-gb-scotland", "f4", 130, 30),
        ("en-029", "m3", 190, 50),
    )
]


@pytest.fixture(scope="module")
def espeak() -> EspeakSynthesizer:
    return EspeakSynthesizer()


def digest(waveform: np.ndarray) -> str:
    return hashlib.sha256(waveform.tobytes()).hexdigest()


def fundamental(waveform: np.ndarray) -> float:
    """Median pitch of the voiced frames in Hz, by the highest autocorrelation."""
    shortest, longest = SAMPLE_RATE // 400, SAMPLE_RATE // 60
    pitches = []
    for start in range(0, len(waveform) - 1024, 512):
        frame = waveform[start : start + 1024] - waveform[start : start + 1024].mean()
        correlation = np.correlate(frame, frame, "full")[1023:]
        lag = shortest + correlation[shortest:longest].argmax()
        if correlation[0] > 0.5 and correlation[lag] > 0.6 * correlation[0]:
            pitches.append(SAMPLE_RATE / lag)
    return float(np.median(pitches))


def speech_band_share(waveform: np.ndarray) -> float:
    """Share of the energy between 100 Hz and 4 kHz, where speech has nearly all of it."""
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    frequency = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
    return spectrum[(frequency > 100) & (frequency < 4000)].sum() / spectrum.sum()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("variant", ["m1", "f3"])
def test_is_speech_and_not_clipped(espeak, language, variant):
    waveform = espeak.synthesize(TEXT, Voice(language, variant, rate=160))
    assert waveform.dtype == np.float32 and waveform.ndim == 1
    assert 0.1 < np.abs(waveform).max() < 0.95
    assert speech_band_share(waveform) > 0.9
    # 35 phonemes at some 12 a second, with the silence of a breath at most around them
    assert 2.0 < len(waveform) / SAMPLE_RATE < 4.5
    loud = np.flatnonzero(np.abs(waveform) > 0.02)
    assert loud[0] < 0.1 * SAMPLE_RATE
    assert len(waveform) - loud[-1] < 0.4 * SAMPLE_RATE


@pytest.mark.parametrize("voice", VOICES, ids=lambda voice: voice.speaker)
def test_same_arguments_same_bits_whatever_was_said_before(espeak, voice):
    first = espeak.synthesize(TEXT, voice)
    for other in VOICES:
        espeak.synthesize("she sells some fresh fish", other)
    assert digest(espeak.synthesize(TEXT, voice)) == digest(first)
    assert digest(EspeakSynthesizer().synthesize(TEXT, voice)) == digest(first)


def test_same_bits_in_another_process(espeak):
    code = f"""
import hashlib
from src.utils.espeak import EspeakSynthesizer, Voice
espeak = EspeakSynthesizer()
for voice in reversed({VOICES!r}):
    print(hashlib.sha256(espeak.synthesize({TEXT!r}, voice).tobytes()).hexdigest())
"""
    run = [sys.executable, "-c", code]
    output = subprocess.run(run, cwd=REPO, capture_output=True, text=True, check=True).stdout
    assert output.split() == [digest(espeak.synthesize(TEXT, v)) for v in reversed(VOICES)]


def test_same_bits_from_threads(espeak):
    expected = {voice: digest(espeak.synthesize(TEXT, voice)) for voice in VOICES}
    jobs = VOICES * 10
    with ThreadPoolExecutor(8) as pool:
        spoken = list(pool.map(lambda voice: digest(espeak.synthesize(TEXT, voice)), jobs))
    assert spoken == [expected[voice] for voice in jobs]


def test_worker_forked_while_a_thread_speaks_can_speak(espeak):
    stop = threading.Event()

    def speak_on():
        while not stop.is_set():
            espeak.synthesize(TEXT, VOICES[0])

    thread = threading.Thread(target=speak_on)
    thread.start()
    try:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            spoken = pool.starmap_async(espeak.synthesize, [(TEXT, v) for v in VOICES]).get(30)
    finally:
        stop.set()
        thread.join()
    assert [digest(w) for w in spoken] == [digest(espeak.synthesize(TEXT, v)) for v in VOICES]


def test_faster_rate_is_shorter(espeak):
    seconds = [
        len(espeak.synthesize(TEXT, Voice("en-us", "m3", rate))) for rate in (100, 150, 200, 300)
    ]
    assert seconds == sorted(seconds, reverse=True)
    assert 1.6 < seconds[0] / seconds[2] < 2.4  # twice the words per minute


def test_more_words_are_longer(espeak):
    lengths = [
        len(espeak.synthesize(" ".join(TEXT.split()[:count]), Voice("en-gb", "f2", 150)))
        for count in range(1, 10)
    ]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("variant", ["m1", "f2"])
def test_pitch_parameter_moves_the_fundamental(espeak, variant):
    low, middle, high = (
        fundamental(espeak.synthesize(TEXT, Voice("en-us", variant, 150, pitch)))
        for pitch in (35, 50, 65)
    )
    # 15 of 50 steps to the octave raise the base by 2 ** 0.3 = 1.23; the intonation above stays.
    assert 1.08 < middle / low < 1.23
    assert 1.08 < high / middle < 1.23


def test_women_speak_higher_than_men(espeak):
    pitch = {v: fundamental(espeak.synthesize(TEXT, Voice("en-us", v))) for v in ("m1", "f2")}
    assert 70 < pitch["m1"] < 140 < pitch["f2"] < 260


def test_narrow_range_is_monotone(espeak):
    def spread(pitch_range: int) -> float:
        voice = Voice("en-us", "Alex", 120, 50, pitch_range)
        words = [fundamental(espeak.synthesize(w, voice)) for w in ("hello", "the yellow car")]
        phrase = espeak.synthesize(TEXT, voice)
        thirds = [fundamental(part) for part in np.array_split(phrase, 3)]
        return float(np.ptp(np.log(words + thirds)))

    assert spread(5) < 0.5 * spread(90)


def test_language_and_variant_are_heard(espeak):
    sounds = {
        digest(espeak.synthesize(TEXT, Voice(language, variant)))
        for language in LANGUAGES
        for variant in ("m1", "m3", "f1", "Alex")
    }
    assert len(sounds) == 4 * len(LANGUAGES)


def test_empty_text_is_silence(espeak):
    waveform = espeak.synthesize("", Voice("en-us", "m3"))
    assert not waveform.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"language": "klingon"}, "klingon.*en-us"),
        ({"variant": "nobody"}, "nobody.*f1"),
        ({"variant": "../m3"}, r"\.\./m3"),
        ({"rate": 20}, "rate=20.*80 to 450"),
        ({"pitch": 100}, "pitch=100.*0 to 99"),
        ({"pitch_range": -1}, "pitch_range=-1"),
    ],
)
def test_wrong_voice_is_one_sentence(espeak, change, message):
    voice = dataclasses.replace(Voice("en-us", "m3"), **change)
    with pytest.raises(UserError, match=message):
        espeak.synthesize("hello", voice)


def test_missing_wheel_is_one_sentence(monkeypatch):
    espeak_module._english_engine.cache_clear()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="pip install espeakng-loader"):
        EspeakSynthesizer()


def test_long_install_paths_are_no_matter_and_nothing_is_left_behind(tmp_path):
    deep = tmp_path.joinpath(*["a-long-folder-name-of-a-deep-checkout"] * 5)
    code = f"""
import shutil, sys
import espeakng_loader
from pathlib import Path
wheel = Path(espeakng_loader.__file__).parent
copy = Path(shutil.copytree(wheel, {str(deep)!r} + "/espeakng_loader"))
espeakng_loader.get_data_path = lambda: str(copy / "espeak-ng-data")
espeakng_loader.get_library_path = lambda: str(next(copy.glob("libespeak-ng.*")))
from src.utils.espeak import EspeakSynthesizer, Voice
print(len(EspeakSynthesizer().synthesize("hello", Voice("en-us", "m3"))))
"""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    output = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert int(output) > 0.3 * SAMPLE_RATE
    assert list(temporary.iterdir()) == []


def test_memory_does_not_grow(espeak):
    def resident_pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    if not Path("/proc/self/statm").exists():
        pytest.skip("/proc/self/statm is Linux only")
    voice = Voice("en-us", "m3", 300)
    for _ in range(50):
        espeak.synthesize("hello", voice)
    before = resident_pages()
    for _ in range(300):
        espeak.synthesize("hello", voice)
    assert resident_pages() - before < 2000  # 8 MB; the data alone is 1 MB a call
