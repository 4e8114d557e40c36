"""Random spans of an utterance, as masks."""

from __future__ import annotations

import torch
from torch import Tensor

from src.transforms.draws import Draws


def random_spans(
    size: int,
    length: Tensor,
    max_width: Tensor,
    number: int,
    draws: Draws,
    used: Tensor | None = None,
) -> Tensor:
    """[B, size] bool: the union of `number` spans of 0..max_width [B] inside 0..length [B]."""
    device = length.device
    width, start = draws.uniform(shape=(2, number), device=device).unbind(dim=1)
    width = (width * (torch.minimum(max_width, length)[:, None] + 1)).long()
    start = (start * (length[:, None] - width + 1)).long()
    if used is not None:
        width = width * used
    position = torch.arange(size, device=device)
    start, end = start[..., None], (start + width)[..., None]
    return ((position >= start) & (position < end)).any(dim=1)
