"""Louder and softer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from src.transforms.augmentation import Augmentation, interval
from src.transforms.draws import Draws


class Gain(Augmentation):
    """Changes the level by a number of `decibels`, drawn from [low, high].

    Features are normalised for each utterance, so alone this changes only what is near the noise
    floor of `LogMel`; before `Telephone`, or with recordings that clip, it matters. Nothing is
    clipped here.
    """

    stage = "microphone"

    def __init__(self, decibels: Sequence[float] = (-12, 6), probability: float = 1.0) -> None:
        super().__init__(probability)
        self.decibels = interval("decibels", decibels, -60, 60)

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S]."""
        decibels = draws.uniform(*self.decibels, device=x.device)
        return x * (10 ** (decibels / 20))[:, None]
