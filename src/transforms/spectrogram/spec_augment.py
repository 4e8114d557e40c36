"""SpecAugment with adaptive time masks (Park et al., arXiv 1904.08779 and 1912.05533)."""

from __future__ import annotations

import torch
from torch import Tensor

from src.transforms.augmentation import Augmentation
from src.transforms.draws import Draws
from src.transforms.spans import random_spans


class SpecAugment(Augmentation):
    """Sets random bands and spans of normalised features to 0, their mean, in every utterance.

    Arguments: `freq_masks` masks of 0..`freq_width` bands; time masks number `time_masks_ratio`
    x frames (at most `max_time_masks`) and span 0..`time_width_ratio` x frames each.
    """

    stage = "masking"

    def __init__(
        self,
        freq_masks: int = 2,
        freq_width: int = 27,
        time_masks_ratio: float = 0.04,
        max_time_masks: int = 10,
        time_width_ratio: float = 0.05,
        probability: float = 1.0,
    ) -> None:
        super().__init__(probability)
        if min(freq_masks, freq_width, time_masks_ratio, max_time_masks, time_width_ratio) < 0:
            raise ValueError("a number, width or ratio of masks is negative")
        if time_width_ratio > 1:
            raise ValueError(f"time_width_ratio {time_width_ratio} is more than the utterance")
        self.freq_masks = freq_masks
        self.freq_width = freq_width
        self.time_masks_ratio = time_masks_ratio
        self.max_time_masks = max_time_masks
        self.time_width_ratio = time_width_ratio

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """features [B, F, M], frames [B] -> [B, F, M]."""
        B, F, M = x.shape
        bands = torch.full((B,), M, device=x.device)
        widths = torch.full((B,), self.freq_width, device=x.device).clamp_max(M)
        freq = random_spans(M, bands, widths, self.freq_masks, draws)

        widths = (self.time_width_ratio * length).long()
        number = (self.time_masks_ratio * length).long().clamp(1, self.max_time_masks)
        used = torch.arange(self.max_time_masks, device=x.device) < number[:, None]
        time = random_spans(F, length, widths, self.max_time_masks, draws, used)

        return x.masked_fill(freq[:, None, :] | time[:, :, None], 0.0)
