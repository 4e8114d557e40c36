"""SpecAugment with adaptive time masks (Park et al., arXiv 1904.08779 and 1912.05533)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpecAugment(nn.Module):
    """Sets random bands and spans of normalised features to 0, their mean, in every utterance.

    Arguments: `freq_masks` masks of 0..`freq_width` bands; time masks number `time_masks_ratio`
    x frames (at most `max_time_masks`) and span 0..`time_width_ratio` x frames each.
    """

    def __init__(
        self,
        freq_masks: int = 2,
        freq_width: int = 27,
        time_masks_ratio: float = 0.04,
        max_time_masks: int = 10,
        time_width_ratio: float = 0.05,
    ) -> None:
        super().__init__()
        if min(freq_masks, freq_width, time_masks_ratio, max_time_masks, time_width_ratio) < 0:
            raise ValueError("a number, width or ratio of masks is negative")
        if time_width_ratio > 1:
            raise ValueError(f"time_width_ratio {time_width_ratio} is more than the utterance")
        self.freq_masks = freq_masks
        self.freq_width = freq_width
        self.time_masks_ratio = time_masks_ratio
        self.max_time_masks = max_time_masks
        self.time_width_ratio = time_width_ratio

    def forward(self, features: Tensor, feature_length: Tensor) -> Tensor:
        """features [B, F, M], feature_length [B] -> [B, F, M]."""
        B, F, M = features.shape
        device = features.device

        bands = torch.full((B,), M, device=device)
        widths = torch.full((B,), self.freq_width, device=device).clamp_max(M)
        freq = random_spans(M, bands, widths, self.freq_masks)

        widths = (self.time_width_ratio * feature_length).long()
        number = (self.time_masks_ratio * feature_length).long().clamp(1, self.max_time_masks)
        used = torch.arange(self.max_time_masks, device=device) < number[:, None]
        time = random_spans(F, feature_length, widths, self.max_time_masks, used)

        return features.masked_fill(freq[:, None, :] | time[:, :, None], 0.0)


def random_spans(
    size: int, length: Tensor, max_width: Tensor, number: int, used: Tensor | None = None
) -> Tensor:
    """[B, size] bool: the union of `number` spans of 0..max_width [B] inside 0..length [B]."""
    shape = (len(length), number)
    device = length.device
    width = (torch.rand(shape, device=device) * (max_width[:, None] + 1)).long()
    start = (torch.rand(shape, device=device) * (length[:, None] - width + 1)).long()
    if used is not None:
        width = width * used
    position = torch.arange(size, device=device)
    start, end = start[..., None], (start + width)[..., None]
    return ((position >= start) & (position < end)).any(dim=1)
