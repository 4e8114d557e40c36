"""Time warping, the first of SpecAugment's three operations (Park et al., arXiv 1904.08779)."""

from __future__ import annotations

import torch
from torch import Tensor

from src.transforms.augmentation import Augmentation
from src.transforms.draws import Draws


class TimeWarp(Augmentation):
    """Moves a point of each utterance by up to `max_shift` frames, and stretches what is around it.

    The point lies at least `max_shift` frames from both ends; an utterance that is too short for
    that moves by less. Its length stays. Linear interpolation between frames, where the paper has
    splines.
    """

    stage = "warping"

    def __init__(self, max_shift: int = 10, probability: float = 1.0) -> None:
        super().__init__(probability)
        if max_shift < 1:
            raise ValueError(f"max_shift {max_shift} moves nothing; use 1 frame or more")
        self.max_shift = max_shift

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """features [B, F, M], frames [B] -> [B, F, M]."""
        F = x.shape[1]
        place, shift = draws.uniform(shape=(2,), device=x.device).unbind(dim=1)
        last = (length - 1).clamp_min(0).float()
        reach = (last / 2 - 1).clamp(0, self.max_shift)
        source = reach + place * (last - 2 * reach)
        target = source + (2 * shift - 1) * reach

        position = torch.arange(F, device=x.device, dtype=torch.float32).expand(len(x), F)
        source, target, last = source[:, None], target[:, None], last[:, None]
        before = position * source / target.clamp_min(1e-3)
        after = source + (position - target) * (last - source) / (last - target).clamp_min(1e-3)
        read = torch.where(position < target, before, after)
        read = torch.minimum(read.clamp_min(0.0), last)

        left = read.floor()
        weight = (read - left)[..., None].to(x.dtype)
        index = torch.stack([left, torch.minimum(left + 1, last)]).long()[..., None]
        low, high = (x.gather(1, i.expand(-1, -1, x.shape[2])) for i in index)
        return torch.lerp(low, high, weight)
