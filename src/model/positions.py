"""Where a frame stands: sinusoidal absolute or rotary positions.

Both are computed for the length at hand, so no maximum length is built in.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _angles(T: int, dim: int, device: torch.device) -> Tensor:
    """[T, dim / 2]: position x 10000^(-2i/dim)."""
    position = torch.arange(T, device=device, dtype=torch.float32)
    exponent = torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim
    return position[:, None] * torch.pow(10000.0, -exponent)


def sinusoidal_positions(T: int, dim: int, device: torch.device) -> Tensor:
    """[T, dim], sines in even and cosines in odd columns (Vaswani et al., arXiv 1706.03762)."""
    angles = _angles(T, dim, device)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(T, dim)


def rotary_positions(T: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, head_dim / 2] for `rotate` (RoFormer, arXiv 2104.09864)."""
    angles = _angles(T, head_dim, device)
    return angles.cos(), angles.sin()


def rotate(x_BHTK: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns each pair (i, i + K/2) of every head by its frame's angle; keeps the dtype."""
    first, second = x_BHTK.float().chunk(2, dim=-1)
    turned = (first * cosines - second * sines, second * cosines + first * sines)
    return torch.cat(turned, dim=-1).to(x_BHTK.dtype)
