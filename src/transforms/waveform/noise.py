"""Noise at a signal-to-noise ratio: made here, or recorded in the world."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchaudio.functional as AF
from torch import Tensor

from src.transforms.augmentation import Augmentation, interval
from src.transforms.draws import Draws
from src.transforms.waveform.clip_bank import ClipBank
from src.transforms.waveform.frequency_response import (
    filter_spectrum,
    frequencies,
    transform_size,
)
from src.utils.masking import length_mask

LOWEST = 20.0  # Hz; below it coloured noise gets no louder


class ColouredNoise(Augmentation):
    """Gaussian noise whose power falls with frequency as f^-exponent.

    Exponent 0 is white noise, 1 pink, 2 brown (torch-audiomentations' AddColoredNoise has the same
    definition). Exponent and `snr` in dB are drawn from [low, high] for each utterance.
    """

    stage = "noise"

    def __init__(
        self,
        snr: Sequence[float] = (10, 30),
        exponent: Sequence[float] = (0, 2),
        sample_rate: int = 16000,
        probability: float = 1.0,
    ) -> None:
        super().__init__(probability)
        self.snr = interval("snr", snr, -60, 100)
        self.exponent = interval("exponent", exponent, -2, 4)
        self.sample_rate = sample_rate

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S]."""
        snr = draws.uniform(*self.snr, device=x.device)
        exponent = draws.uniform(*self.exponent, device=x.device)
        noise = draws.normal(x.shape[1], x.device) * length_mask(length, x.shape[1])
        if self.exponent != (0, 0):
            size = transform_size(x.shape[1])
            hertz = frequencies(size, self.sample_rate, x.device).clamp_min(LOWEST)
            noise = filter_spectrum(noise, (hertz / LOWEST) ** (-exponent[:, None] / 2), size)
        return add_noise(x, length, noise, snr)


class BackgroundNoise(Augmentation):
    """A recording from `folder`, from anywhere in it and repeated where it is short.

    Args:
        folder: of wav, flac, mp3, ogg and opus recordings, in any folders; they stay in memory as
            16-bit samples, on the device (115 MB an hour).
        snr: in dB, drawn from [low, high] for each utterance.
        pattern: a glob of the recordings that are used, so that others can be held out for tests
            (`scripts/add_noise.py`); see `clip_bank.recordings_in`.
    """

    stage = "noise"

    def __init__(
        self,
        folder: str,
        snr: Sequence[float] = (5, 20),
        pattern: str = "*",
        sample_rate: int = 16000,
        probability: float = 1.0,
    ) -> None:
        super().__init__(probability)
        self.snr = interval("snr", snr, -60, 100)
        self.clips = ClipBank(folder, sample_rate, pattern)

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S]."""
        snr = draws.uniform(*self.snr, device=x.device)
        noise = self.clips.cut(draws.integers(len(self.clips)), draws.host_uniform(), x)
        return add_noise(x, length, noise, snr)


def add_noise(audio: Tensor, length: Tensor, noise: Tensor, snr: Tensor) -> Tensor:
    """audio [B, S] with noise [B, S] at snr [B] dB, both measured over the utterance's own samples
    (torchaudio's `add_noise`). Silence stays silent, and silent noise adds nothing."""
    mask = length_mask(length, audio.shape[1])
    silent = (noise * mask).square().sum(dim=1) == 0
    noise = torch.where(silent[:, None], torch.ones_like(noise), noise)
    noisy = AF.add_noise(audio.float(), noise.float(), snr, length)
    return torch.where(silent[:, None], audio, noisy)
