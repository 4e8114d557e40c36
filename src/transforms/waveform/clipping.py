"""Recordings that were too loud for their converter."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from src.transforms.augmentation import Augmentation, interval
from src.transforms.draws import Draws


class Clipping(Augmentation):
    """Cuts off what is louder than `decibels`, drawn from [low, high], below the peak."""

    stage = "microphone"

    def __init__(self, decibels: Sequence[float] = (3, 15), probability: float = 1.0) -> None:
        super().__init__(probability)
        self.decibels = interval("decibels", decibels, 0, 60)

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S]."""
        decibels = draws.uniform(*self.decibels, device=x.device)
        limit = (x.abs().amax(dim=1) * 10 ** (-decibels / 20))[:, None]
        return x.clamp(-limit, limit)
