"""Which positions of a padded batch are real."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(length: Tensor, size: int) -> Tensor:
    """length [B] -> [B, size] bool, True before each length."""
    return torch.arange(size, device=length.device) < length[:, None]
