"""The device a run is on, and batches on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from src.utils.errors import UserError


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one; otherwise a torch device name such as `cuda:1`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device={name} cannot be used here ({reason}); try device=auto") from None
    return device


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch with its tensors on `device`; lists and strings as they are."""
    return {
        key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for key, value in batch.items()
    }
