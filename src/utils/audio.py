"""Any libsndfile recording in, one mono float tensor at the wanted rate out.

    >>> read_audio("speech.flac", sample_rate=16000).shape
    torch.Size([53760])

`soundfile` reads (wav, flac, mp3, ogg, opus, with no system library), `torchaudio` resamples.
Recordings too long to be held at once are read by `src.utils.audio_stream`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

from src.utils.errors import UserError

AUDIO_EXTENSIONS = (".wav", ".flac", ".mp3", ".ogg", ".opus")

# Below, no speech fits in; above, no recorder goes. A damaged header may say anything, and what it
# says is how long the recording takes to transcribe.
SAMPLE_RATES = (1000, 1_000_000)
VALUES_READ_AT_ONCE = 1 << 22  # over all channels: 16 MB


def read_audio(path: str | Path, sample_rate: int) -> Tensor:
    """Mono waveform [S], float32 in [-1, 1], at `sample_rate` Hz.

    Raises:
        UserError: the file is missing, is no audio, is damaged, is empty, has NaN samples or a
            sample rate that no recorder has.
    """
    waveform, file_rate = decode_audio(path)
    if file_rate != sample_rate:
        resampled = resampler(file_rate, sample_rate)(waveform)
        waveform = resampled.clamp(-1.0, 1.0)  # sinc interpolation overshoots at full scale
    return waveform


def decode_audio(path: str | Path) -> tuple[Tensor, int]:
    """Mono waveform [S] in [-1, 1] at the file's own rate in Hz, and that rate.

    Raises as `read_audio`.
    """
    with open_audio(path) as file:
        return torch.cat(list(mono_blocks(file))), file.samplerate


def open_audio(path: str | Path) -> soundfile.SoundFile:
    """The recording, its header read and found possible; raises as `read_audio`."""
    if not _is(path, Path.is_file):
        if _is(path, Path.exists):  # and opening a pipe would wait for its other end
            raise UserError(f"{path} is no file: give the recording itself or remove it.")
        raise UserError(f"{path} does not exist: check the path or remove it from the data.")
    try:
        file = _Sequential(os.fsencode(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(path, error) from None
    slowest, fastest = SAMPLE_RATES
    if not slowest <= file.samplerate <= fastest:
        file.close()
        raise UserError(
            f"{path} claims {file.samplerate} samples a second: its header is damaged or it is no "
            "recording; export it again or remove it."
        )
    return file


class _Sequential(soundfile.SoundFile):
    """Read from its start to its end.

    `SoundFile` seeks to where it is after each read. An mp3 then goes on with another sound: what
    its decoder carries from frame to frame is lost.
    """

    def seekable(self) -> bool:
        return False


def mono_blocks(file: soundfile.SoundFile) -> Iterator[Tensor]:
    """The recording as waveforms [n] in [-1, 1], at its own rate; at least one, none of them empty.

    As much is read as there is, whatever the header announces, which a damaged one does in
    terabytes. Raises as `read_audio`.
    """
    path = os.fsdecode(file.name)
    frames = max(1, VALUES_READ_AT_ONCE // file.channels)
    is_empty = True
    while True:
        try:
            samples = file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise _unreadable(path, error) from None
        if len(samples) == 0:
            break
        is_empty = False
        if np.isnan(samples).any():
            raise UserError(f"{path} has NaN samples: remove it or export the recording again.")
        # Clipped before the mean, where +inf and -inf in two channels would become NaN. In numpy,
        # because torch's threads wait for each other on a busy machine: 60 times slower there.
        yield torch.from_numpy(np.clip(samples, -1.0, 1.0).mean(axis=1))
        if len(samples) < frames:
            break
    if is_empty:
        raise _empty(path)


def audio_duration(path: str | Path) -> float:
    """Seconds, from the header alone; exact for every format in `AUDIO_EXTENSIONS`.

    libsndfile counts the frames of an mp3 or opus stream as it opens it.

    Raises:
        UserError: the header is unreadable or impossible, or announces no samples.
    """
    with open_audio(path) as file:
        if file.frames == 0:
            raise _empty(path)
        return file.frames / file.samplerate


@lru_cache(maxsize=16)
def resampler(file_rate: int, sample_rate: int) -> torchaudio.transforms.Resample:
    """From one rate to the other in Hz, by windowed sinc interpolation."""
    # The kernel has a row for each output phase: nearly coprime rates (11127 -> 16000) would ask
    # for gigabytes. Up to 1000 the ratio is exact for every usual rate, else right to 1e-6.
    ratio = Fraction(sample_rate, file_rate).limit_denominator(1000)
    return torchaudio.transforms.Resample(ratio.denominator, ratio.numerator)


def _empty(path: str | Path) -> UserError:
    return UserError(f"{path} has no samples: remove it or replace it with a recording.")


def _is(path: str | Path, kind: Callable[[Path], bool]) -> bool:
    """False where the system refuses to say: too long a name, a folder one may not enter."""
    try:
        return kind(Path(path))
    except OSError:
        return False


def _unreadable(path: str | Path, error: Exception) -> UserError:
    reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return UserError(f"{path} cannot be read as audio ({reason}): remove it or replace it.")
