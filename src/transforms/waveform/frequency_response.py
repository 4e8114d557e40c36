"""Filters by their gain at each frequency: no shift in time, a cut-off for each utterance."""

from __future__ import annotations

import torch
from torch import Tensor

PADDING = 800  # zeros behind, so that what a filter moves across the end does not come in in front


def filter_spectrum(audio: Tensor, gain: Tensor, size: int) -> Tensor:
    """audio [B, S] with a gain [B, size // 2 + 1] at each frequency -> [B, S].

    `size` is that of the transform, at least `transform_size(S)`. A real gain has no phase: what it
    moves in time, it moves both ways alike. The spectrum of an impulse response is a gain as well.
    """
    spectrum = torch.fft.rfft(audio.float(), n=size)
    return torch.fft.irfft(spectrum * gain, n=size)[:, : audio.shape[1]]


def transform_size(samples: int) -> int:
    """A length that holds `samples` and `PADDING`, and is quickly transformed: k 2^n, k <= 8."""
    needed = samples + PADDING
    step = 1 << max(0, (needed - 1).bit_length() - 3)
    return -(-needed // step) * step


def frequencies(size: int, sample_rate: int, device: torch.device) -> Tensor:
    """[size // 2 + 1] in Hz."""
    return torch.fft.rfftfreq(size, 1 / sample_rate, device=device)


def butterworth_low_pass(hertz: Tensor, cutoff: Tensor, order: int) -> Tensor:
    """Gain [B, K] of a Butterworth low-pass at frequencies [K] for cut-offs [B]: -3 dB at the
    cut-off, then 6 dB an octave times the order (Butterworth, Wireless Engineer 1930)."""
    return (1 + (hertz / cutoff[:, None]) ** (2 * order)).rsqrt()


def butterworth_high_pass(hertz: Tensor, cutoff: Tensor, order: int) -> Tensor:
    """The same of a high-pass; nothing of 0 Hz is left."""
    return (1 + (cutoff[:, None] / hertz.clamp_min(1e-3)) ** (2 * order)).rsqrt()
