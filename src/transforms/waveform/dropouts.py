"""Gaps, as of lost packets."""

from __future__ import annotations

import torch
from torch import Tensor

from src.transforms.augmentation import Augmentation
from src.transforms.draws import Draws
from src.transforms.spans import random_spans


class Dropouts(Augmentation):
    """Silences `number` spans of 0..`max_seconds` each, anywhere in the utterance."""

    stage = "line"

    def __init__(
        self,
        number: int = 3,
        max_seconds: float = 0.05,
        sample_rate: int = 16000,
        probability: float = 1.0,
    ) -> None:
        super().__init__(probability)
        if number < 1 or not max_seconds > 0:
            raise ValueError(f"number {number} and max_seconds {max_seconds} must be above 0")
        self.number = number
        self.max_samples = round(max_seconds * sample_rate)

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S]."""
        width = torch.full_like(length, self.max_samples)
        return x.masked_fill(random_spans(x.shape[1], length, width, self.number, draws), 0.0)
