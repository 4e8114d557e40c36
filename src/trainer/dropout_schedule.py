"""Dropout that changes while training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import nn

from src.utils.errors import UserError

GRAIN = 0.05


class DropoutSchedule:
    """Every dropout of a model set to one p, piecewise linear in the step.

    p rises with `[[0, 0.0], [0.3, 0.1]]` from 0 (curriculum dropout, arXiv 1703.06229: nothing
    co-adapts before it has learnt something) and falls with `[[0, 0.3], [0.2, 0.1]]` (as in
    Zipformer, arXiv 2310.11230). It depends on the step alone, so resuming needs no state. p moves
    in steps of 0.05: torch.compile compiles a block anew for each, and no more than eight times.

    Args:
        points: (share of training in [0, 1], p), in order; p is constant before and after them.
    """

    def __init__(self, points: Sequence[tuple[float, float]], total_steps: int) -> None:
        shares = [share for share, _ in points]
        rising = all(left < right for left, right in pairwise(shares))
        if not points or not rising or not all(0 <= x <= 1 for point in points for x in point):
            raise UserError(
                f"dropout_schedule {[list(point) for point in points]} is no list of "
                "[share of training, p], both in [0, 1] and the shares rising"
            )
        self.steps = [share * total_steps for share in shares]
        self.values = [p for _, p in points]

    def at(self, step: int) -> float:
        """p of optimizer step `step`, the first being 0."""
        return round(float(np.interp(step, self.steps, self.values)) / GRAIN) * GRAIN

    def apply(self, model: nn.Module, step: int) -> None:
        p = self.at(step)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = p
