"""torch.compile as an option: `python train.py trainer.compile=inductor`."""

from __future__ import annotations

import torch
from torch import nn

from src.utils.errors import UserError


def compile_model(model: nn.Module, backend: str) -> None:
    """Has `model` compiled when it is first used, once for all batch sizes and lengths.

    Batches differ in both, so their dimensions stay symbols in the graph. A few more graphs come
    with evaluation, with a batch of one and with what else PyTorch's kernels distinguish. On a
    CPU, inductor of PyTorch 2.11 needs `model.dropout` above 0 for this.
    """
    known = torch.compiler.list_backends(exclude_tags=None)
    if backend not in known:
        raise UserError(f"trainer.compile={backend} is not null or one of {', '.join(known)}")
    model.compile(backend=backend, dynamic=True)
