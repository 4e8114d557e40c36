"""torch.compile as an option: `python train.py trainer.compile=inductor`."""

from __future__ import annotations

import logging

import torch
from torch import nn

from src.utils.errors import UserError

logger = logging.getLogger(__name__)


def compile_model(model: nn.Module, backend: str) -> None:
    """Has `model` compiled when it is first used, once for all batch sizes and lengths.

    Batches differ in both, so their dimensions stay symbols in the graph. A few more graphs come
    with evaluation, with a batch of one and with what else PyTorch's kernels distinguish.

    On a CPU, inductor of PyTorch 2.11 sets the length fast as it compiles the backward pass, on
    some machines more than on others: each length then costs a graph, hence the warning.
    """
    known = torch.compiler.list_backends(exclude_tags=None)
    if backend not in known:
        raise UserError(f"trainer.compile={backend} is not null or one of {', '.join(known)}")
    if backend == "inductor" and next(model.parameters()).device.type == "cpu":
        logger.warning(
            "trainer.compile=inductor is for GPUs: on a CPU each length may be compiled anew"
        )
    model.compile(backend=backend, dynamic=True)
