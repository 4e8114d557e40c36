"""Signals whose properties are known."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def tone(hertz: float, samples: int = 16000, rate: int = 16000) -> Tensor:
    """A sine of amplitude 0.5 [S]."""
    return 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(samples) / rate)


def speech_like(samples: int, seed: int) -> Tensor:
    """Harmonics of a low voice, in syllables, with a little noise [S]."""
    time = torch.arange(samples) / 16000
    voice = sum(torch.sin(2 * math.pi * 130 * k * time) / k for k in range(1, 20))
    syllables = 0.5 + 0.5 * torch.sin(2 * math.pi * 4 * time + seed)
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    return 0.1 * voice * syllables + 0.005 * noise


def decibels(ratio: Tensor | float) -> float:
    """Of a ratio of powers."""
    return 10 * math.log10(float(ratio))


def power(x: Tensor) -> Tensor:
    return x.double().square().mean()


def level_at(x: Tensor, hertz: float, rate: int = 16000) -> float:
    """Amplitude of one frequency in x [S], by its Fourier coefficient."""
    phase = 2 * math.pi * hertz * torch.arange(len(x), dtype=torch.float64) / rate
    window = torch.hann_window(len(x), periodic=False, dtype=torch.float64)
    x = x.double() * window
    return 2 * math.hypot(float(x @ phase.cos()), float(x @ phase.sin())) / float(window.sum())
