"""Any libsndfile recording in, one mono float tensor at the wanted rate out.

    >>> read_audio("speech.flac", sample_rate=16000).shape
    torch.Size([53760])

`soundfile` reads (wav, flac, mp3, ogg, opus, with no system library), `torchaudio` resamples.
"""

from __future__ import annotations

import os
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


def read_audio(path: str | Path, sample_rate: int) -> Tensor:
    """Mono waveform [S], float32 in [-1, 1], at `sample_rate` Hz.

    Raises:
        UserError: the file is missing, is no audio, is damaged, is empty or has NaN samples.
    """
    waveform, file_rate = decode_audio(path)
    if file_rate != sample_rate:
        resampled = _resampler(file_rate, sample_rate)(waveform)
        waveform = resampled.clamp(-1.0, 1.0)  # sinc interpolation overshoots at full scale
    return waveform


def decode_audio(path: str | Path) -> tuple[Tensor, int]:
    """Mono waveform [S] in [-1, 1] at the file's own rate in Hz, and that rate.

    Raises as `read_audio`.
    """
    try:
        samples, sample_rate = soundfile.read(os.fsencode(path), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(path, error) from None
    if len(samples) == 0:
        raise UserError(f"{path} has no samples: remove it or replace it with a recording.")
    if np.isnan(samples).any():
        raise UserError(f"{path} has NaN samples: remove it or export the recording again.")
    # Clipped before the mean, where +inf and -inf in two channels would become NaN. In numpy,
    # because torch's threads wait for each other on a busy machine: 60 times slower there.
    mono = np.clip(samples, -1.0, 1.0).mean(axis=1)
    return torch.from_numpy(mono), sample_rate


def audio_duration(path: str | Path) -> float:
    """Seconds, from the header alone; exact for every format in `AUDIO_EXTENSIONS`.

    libsndfile counts the frames of an mp3 or opus stream as it opens it.

    Raises:
        UserError: the header is unreadable or announces no samples.
    """
    try:
        info = soundfile.info(os.fsencode(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(path, error) from None
    if info.frames == 0:
        raise UserError(f"{path} has no samples: remove it or replace it with a recording.")
    return info.frames / info.samplerate


@lru_cache(maxsize=16)
def _resampler(file_rate: int, sample_rate: int) -> torchaudio.transforms.Resample:
    # The kernel has a row for each output phase: nearly coprime rates (11127 -> 16000) would ask
    # for gigabytes. Up to 1000 the ratio is exact for every usual rate, else right to 1e-6.
    ratio = Fraction(sample_rate, file_rate).limit_denominator(1000)
    return torchaudio.transforms.Resample(ratio.denominator, ratio.numerator)


def _unreadable(path: str | Path, error: Exception) -> UserError:
    if not Path(path).exists():
        return UserError(f"{path} does not exist: check the path or remove it from the data.")
    reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return UserError(f"{path} cannot be read as audio ({reason}): remove it or replace it.")
