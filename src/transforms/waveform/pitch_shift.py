"""Higher and lower voices that speak as fast as before."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np
import torch
import torchaudio
import torchaudio.functional as AF
from torch import Tensor

from src.transforms.augmentation import Augmentation, at_the_level_of
from src.transforms.draws import Draws

N_FFT, HOP = 512, 128  # a window of 32 ms at 16 kHz
FINEST = 40  # denominator of the ratios of frequencies: right to 0.05 semitones


class PitchShift(Augmentation):
    """Shifts the pitch by one of `semitones` (of either sign; formants go with it).

    A phase vocoder stretches the utterance, resampling makes it as long as it was, as in
    torchaudio's `pitch_shift`, from which both parts come. Its resampling has a kernel of thousands
    of phases for most shifts; here the ratio of frequencies is the nearest small fraction. The
    vocoder's partials lose their phase relations, and speech some 2 dB by it, which are given back.
    """

    stage = "voice"

    def __init__(
        self, semitones: Sequence[float] = (-2, -1, 1, 2), probability: float = 1.0
    ) -> None:
        super().__init__(probability)
        if not semitones or not all(-12 <= shift <= 12 for shift in semitones):
            raise ValueError(f"semitones {list(semitones)}: name some from -12 to 12")
        self.semitones = list(semitones)
        self.window: Tensor
        self.phase_advance: Tensor
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        advance = torch.linspace(0, torch.pi * HOP, N_FFT // 2 + 1)[:, None]
        self.register_buffer("phase_advance", advance, persistent=False)

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S]."""
        which = draws.integers(len(self.semitones))
        shifted = x.float().clone()  # an utterance that is not shifted stays to the bit
        for choice in np.unique(which):
            rows = torch.from_numpy(np.flatnonzero(which == choice)).to(x.device, non_blocking=True)
            ratio = frequency_ratio(self.semitones[choice])
            shifted.index_copy_(0, rows, self._shift(x[rows].float(), ratio))
        return at_the_level_of(x, self._within(shifted, length))

    def _shift(self, x: Tensor, ratio: Fraction) -> Tensor:
        if ratio == 1:
            return x
        samples = x.shape[1]
        spectrum = torch.stft(
            torch.nn.functional.pad(x, (0, N_FFT)), N_FFT, HOP,
            window=self.window, return_complex=True, pad_mode="constant",
        )  # fmt: skip
        stretched = AF.phase_vocoder(spectrum, float(1 / ratio), self.phase_advance)
        audio = torch.istft(stretched, N_FFT, HOP, window=self.window)
        audio = _resampler(ratio).to(x.device)(audio)[:, :samples]
        return torch.nn.functional.pad(audio, (0, samples - audio.shape[1]))


def frequency_ratio(semitones: float) -> Fraction:
    """2^(semitones / 12), as a fraction of small numbers."""
    return Fraction(2 ** (semitones / 12)).limit_denominator(FINEST)


@cache
def _resampler(ratio: Fraction) -> torchaudio.transforms.Resample:
    return torchaudio.transforms.Resample(ratio.numerator, ratio.denominator)
