"""Recordings of any length, a block at a time: what is held does not grow with them.

for block in AudioFile("meeting.wav").blocks(16000):    # [n], mono, at 16 kHz
    ...
for chunk, is_last in chunks(source.blocks(16000), size=480000, overlap=96000):
    ...

The blocks, put together, are what `read_audio` returns of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from src.utils.audio import mono_blocks, open_audio, resampler
from src.utils.errors import UserError

BLOCK = 1 << 20  # samples of the source that are resampled at once


class AudioSource(Protocol):
    """A recording that can be read as often as one likes."""

    def blocks(self, sample_rate: int) -> Iterator[Tensor]:
        """Mono waveforms [n] in [-1, 1] at `sample_rate` Hz, one after the other."""
        ...


@dataclass(frozen=True)
class AudioFile:
    """A file that libsndfile reads. `blocks` raises as `src.utils.audio.read_audio` does."""

    path: str | Path

    def blocks(self, sample_rate: int) -> Iterator[Tensor]:
        with open_audio(self.path) as file:
            yield from resampled(mono_blocks(file), file.samplerate, sample_rate)


@dataclass(frozen=True)
class Waveform:
    """Samples [S] or [channels, S] that are in memory already, floats in [-1, 1].

    `blocks` raises `UserError` for integers, NaN, nothing at all, or more than two dimensions.
    """

    samples: Tensor
    sample_rate: int

    def blocks(self, sample_rate: int) -> Iterator[Tensor]:
        samples = torch.as_tensor(self.samples).detach().cpu()
        if self.sample_rate <= 0:
            raise UserError(f"sample_rate={self.sample_rate}: give the waveform's, in Hz")
        if samples.ndim not in (1, 2) or not samples.numel():
            raise UserError(f"a waveform is [S] or [channels, S], not {list(samples.shape)}")
        if not samples.is_floating_point():
            raise UserError(f"a waveform is floats in [-1, 1], not {samples.dtype}: divide it")
        if samples.isnan().any():
            raise UserError("the waveform has NaN samples")
        samples = samples.float().clamp(-1.0, 1.0)
        mono = samples.mean(dim=0) if samples.ndim == 2 else samples
        yield from resampled(mono.split(BLOCK), self.sample_rate, sample_rate)


def resampled(blocks: Iterable[Tensor], file_rate: int, sample_rate: int) -> Iterator[Tensor]:
    """The blocks [n] at another rate in Hz; together what resampling all at once gives.

    The filter reaches beyond each block by its width: each is resampled with that much of its
    neighbours, and what becomes of these is cut off. Blocks start where an input sample and an
    output sample fall together.
    """
    if file_rate == sample_rate:
        yield from blocks
        return
    resample = resampler(file_rate, sample_rate)
    divisor = math.gcd(int(resample.orig_freq), int(resample.new_freq))
    period, new = int(resample.orig_freq) // divisor, int(resample.new_freq) // divisor
    margin = (resample.width // period + 2) * period
    body = max(1, BLOCK // period) * period
    before = 0
    for chunk, is_last in chunks(blocks, body + 2 * margin, 2 * margin):
        end = len(chunk) if is_last else len(chunk) - margin
        wanted = slice(before // period * new, None if is_last else end // period * new)
        yield resample(chunk)[wanted].clamp(-1.0, 1.0)
        before = margin


def chunks(blocks: Iterable[Tensor], size: int, overlap: int = 0) -> Iterator[tuple[Tensor, bool]]:
    """Pieces of `size` samples, each starting `overlap` before the end of the one before.

    The last, which is marked True, is whatever is left: longer than `overlap` unless it is alone.
    """
    held: list[Tensor] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        while count > size:  # by one more sample at least, so that this is not the last
            joined = torch.cat(held)
            yield joined[:size], False
            held = [joined[size - overlap :]]
            count = len(held[0])
    if count:
        yield torch.cat(held), True
