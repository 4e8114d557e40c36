"""To another sampling rate while the sound is still arriving."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from src.utils.audio import resampler


class PushResampler:
    """Together, what it returns is what resampling all at once gives (`src.utils.audio_stream`).

    resample = PushResampler(48000, 16000)
    resample(samples); resample(more); resample(last, is_last=True)     # [n] each, may be empty
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self.same = from_rate == to_rate
        self._held, self._before = torch.zeros(0), 0
        if not self.same:
            self._resample = resampler(from_rate, to_rate)
            divisor = math.gcd(int(self._resample.orig_freq), int(self._resample.new_freq))
            self._period = int(self._resample.orig_freq) // divisor
            self._new = int(self._resample.new_freq) // divisor
            # the filter reaches so far to both sides
            self._margin = (self._resample.width // self._period + 2) * self._period

    def __call__(self, samples: Tensor, is_last: bool = False) -> Tensor:
        if self.same:
            return samples
        self._held = torch.cat([self._held, samples])
        whole = (len(self._held) - self._margin) // self._period * self._period
        if not len(self._held) or (not is_last and whole <= self._before):
            return torch.zeros(0)
        end = None if is_last else whole // self._period * self._new
        wanted = slice(self._before // self._period * self._new, end)
        ready = self._resample(self._held)[wanted].clamp(-1.0, 1.0)
        keep_from = max(0, whole - self._margin)
        self._held, self._before = self._held[keep_from:], whole - keep_from
        return ready
