"""What happens to the gradients between the backward pass and the optimizer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm


@torch.no_grad()
def scale_and_clip(parameters: Iterable[Tensor], scale: Tensor, max_norm: float) -> Tensor:
    """Multiplies all gradients by `scale` [] and clips them to `max_norm`, in one pass.

    Never waits for the device. Returns their norm after scaling and before clipping, [].
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = get_total_norm(gradients) * scale
    torch._foreach_mul_(gradients, scale * (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm
