"""Learning-rate schedules, one step an optimizer step. The optimizer's lr is the peak.

`warmup_steps` below 1 is a share of `total_steps`. Parameter groups keep the ratios of their rates.
"""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR


def _steps(warmup_steps: float, total_steps: int) -> int:
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps {warmup_steps} is negative")
    return max(1, round(warmup_steps * total_steps if warmup_steps < 1 else warmup_steps))


def noam(optimizer: Optimizer, total_steps: int, warmup_steps: float = 10_000) -> LambdaLR:
    """Linear warm-up, then the inverse square root of the step (arXiv 1706.03762, section 5.3)."""
    warmup = _steps(warmup_steps, total_steps)
    return LambdaLR(optimizer, lambda step: min((step + 1) / warmup, (warmup / (step + 1)) ** 0.5))


def cosine(
    optimizer: Optimizer, total_steps: int, warmup_steps: float = 0.1, final_ratio: float = 0.01
) -> LambdaLR:
    """Linear warm-up, then half a cosine down to `final_ratio` x the peak at `total_steps`."""
    warmup = _steps(warmup_steps, total_steps)
    if not 0 <= final_ratio <= 1:
        raise ValueError(f"final_ratio {final_ratio} is no share of the peak in [0, 1]")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
        return final_ratio + (1 - final_ratio) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def onecycle(optimizer: Optimizer, total_steps: int, **options: Any) -> OneCycleLR:
    """torch's OneCycleLR (Smith, arXiv 1708.07120) with each group's lr as its peak."""
    peaks = [group["lr"] for group in optimizer.param_groups]
    try:
        return OneCycleLR(optimizer, max_lr=peaks, total_steps=total_steps, **options)
    except ZeroDivisionError:
        raise ValueError(f"pct_start is one of {total_steps} steps; train longer") from None
