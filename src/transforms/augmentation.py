"""What every augmentation has in common: a probability, and numbers drawn for each utterance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from src.transforms.draws import Draws
from src.utils.masking import length_mask

STAGES = ("voice", "room", "noise", "microphone", "line", "warping", "masking")


class Augmentation(nn.Module):
    """Changes each utterance with `probability`; a subclass says how (`augment`).

    Works on waveforms [B, S] in samples and on features [B, F, M] in frames alike. What lies beyond
    an utterance's end is 0 before and after. `stage` is where on its way sound meets it: that, not
    the config, decides on the order of several.
    """

    stage: str  # of STAGES

    def __init__(self, probability: float = 1.0) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise ValueError(f"probability {probability} is not between 0 and 1")
        self.probability = probability

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """All rows of x [B, S] or [B, F, M], with lengths [B], changed; of the same shape."""
        raise NotImplementedError

    def forward(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """x [B, S] or [B, F, M], length [B], draws of the same B utterances -> as x."""
        rows = np.flatnonzero(draws.host_uniform() < self.probability)
        if not len(rows):
            return x
        if len(rows) == len(x):
            return self._within(self.augment(x, length, draws), length)
        index = torch.from_numpy(rows).to(x.device, non_blocking=True)
        some, some_length = x[index], length[index]
        changed = self.augment(some, some_length, draws.select(rows))
        return x.index_copy(0, index, self._within(changed, some_length).to(x.dtype))

    @staticmethod
    def _within(x: Tensor, length: Tensor) -> Tensor:
        mask = length_mask(length, x.shape[1])
        return x.masked_fill(~mask.view(*mask.shape, *[1] * (x.ndim - 2)), 0.0)


def at_the_level_of(original: Tensor, changed: Tensor) -> Tensor:
    """changed [B, S] with the energy of original [B, S]."""
    energy, now = (x.float().square().sum(dim=1, keepdim=True) for x in (original, changed))
    return changed * (energy / now.clamp_min(1e-20)).sqrt()


def interval(
    name: str, ends: Sequence[float], at_least: float, below: float
) -> tuple[float, float]:
    """`ends` as [low, high] of what is drawn; a ValueError if they are no such thing."""
    if len(ends) != 2 or not at_least <= ends[0] <= ends[1] <= below:
        raise ValueError(
            f"{name} {list(ends)} must be [lowest, highest], from {at_least:g} to {below:g}"
        )
    return float(ends[0]), float(ends[1])
