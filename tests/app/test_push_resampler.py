"""Resampled while it arrives is resampled as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from src.app.push_resampler import PushResampler
from src.utils.audio import resampler


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 11127])
@pytest.mark.parametrize("chunk", [37, 1600, 4800])
def test_in_any_chunks(rate, chunk):
    samples = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, 3 * rate)).float()
    push = PushResampler(rate, 16000)
    ready = [push(part) for part in samples.split(chunk)]
    # nothing is held back for long: what is said now is heard now
    assert len(torch.cat(ready)) > 3 * 16000 - 0.2 * 16000 - chunk
    found = torch.cat([*ready, push(torch.zeros(0), is_last=True)])
    expected = samples if rate == 16000 else resampler(rate, 16000)(samples).clamp(-1, 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_nothing_at_all():
    assert len(PushResampler(48000, 16000)(torch.zeros(0), is_last=True)) == 0
