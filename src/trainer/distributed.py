"""One run in several processes, which `torchrun` starts, each with a share of the batches.

torchrun --nproc-per-node=4 train.py ...                          # one machine
torchrun --nnodes=2 --nproc-per-node=8 --rdzv-backend=c10d \
    --rdzv-endpoint=HOST:29500 train.py ...                       # on each of two machines

    with process_group(config.device):
        run_dir = on_main(open_run_folder, config)   # done once, known to all
        network = data_parallel(model)               # averages gradients over the ranks
        rows = [row for part in all_gather(rows) for row in part]

Slurm's `srun` may start the processes too, if MASTER_ADDR and MASTER_PORT are set
(configs/hydra/launcher/slurm.yaml). Otherwise there is one rank, and each of these functions is
the plain thing that it is for one process: nobody else asks whether a run is distributed. All but
`rank`, `world_size` and `is_main` wait for the other ranks, so every rank must call them, in the
same order.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from src.utils.errors import UserError
from src.utils.interruption import Interrupted

T = TypeVar("T")
P = ParamSpec("P")

# A rank that has died breaks its connections, which the others notice at once; this is for one
# that hangs. Longer than the slowest decoder takes for the longest share of an evaluation.
TIMEOUT = timedelta(minutes=30)


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Joins the processes of this run, if it was started as several.

    Args:
        device: as in the config. Ranks on GPUs get the GPU of their number on the machine and
            talk by NCCL, the others by gloo. Objects and CPU tensors always go by gloo, so that
            no GPU is waited for.

    Raises:
        UserError: the other ranks cannot be reached, or there are more of them than GPUs.
    """
    if "MASTER_ADDR" not in os.environ:
        yield
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(_own_gpu(device))
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            rank=_from_environment("RANK", "SLURM_PROCID"),
            world_size=_from_environment("WORLD_SIZE", "SLURM_NTASKS"),
            timeout=TIMEOUT,
        )
    except (KeyError, ValueError, dist.DistError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the run's processes cannot be joined ({reason}); use torchrun") from None
    try:
        yield
    except Interrupted:  # on all ranks
        _leave_together()
        raise
    # A rank that fails does not wait for the others: they would wait for it.
    _leave_together()


def _leave_together() -> None:
    """A launcher ends all ranks as soon as one is gone: rank 0 may still be writing."""
    all_gather(None)
    dist.destroy_process_group()


def _own_gpu(device: str) -> int:
    local_rank = _from_environment("LOCAL_RANK", "SLURM_LOCALID")
    count = torch.cuda.device_count()
    if ":" in device:
        raise UserError(f"device={device} is one GPU for all processes; use device=cuda")
    if local_rank >= count:
        raise UserError(f"there are more processes than the {count} GPUs of this machine")
    return local_rank


def _from_environment(by_torchrun: str, by_srun: str) -> int:
    return int(os.environ.get(by_torchrun) or os.environ[by_srun])


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this is the rank that writes: folders, logs, checkpoints, tables."""
    return rank() == 0


def on_main(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns on rank 0, where alone it runs, on every rank.

    If it raises, rank 0 raises and the others leave quietly.
    """
    if not dist.is_initialized():
        return function(*args, **kwargs)
    result: list[Any] = [None, False]
    if is_main():
        try:
            result = [function(*args, **kwargs), True]
        finally:
            dist.broadcast_object_list(result)
    else:
        dist.broadcast_object_list(result)
    value, succeeded = result
    if not succeeded:
        sys.exit(1)
    return value


def all_gather(value: T) -> list[T]:
    """Every rank's `value`, any object that can be pickled, in the order of the ranks."""
    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of every rank's `value`, in place; on a GPU it is queued, not waited for."""
    if dist.is_initialized():
        dist.all_reduce(value)
    return value


def any_rank(flag: bool) -> bool:
    """Whether the flag is up on at least one rank."""
    return bool(sum_over_ranks(torch.tensor(int(flag))))


def data_parallel(model: nn.Module) -> nn.Module:
    """`model`, whose backward pass then averages the gradients over the ranks.

    All ranks start from the weights of rank 0. Call the result, and keep `model` itself for
    everything else: its weights are the same and their names have no prefix.
    """
    if not dist.is_initialized():
        return model
    # no buffers are sent: that would be a collective in each forward pass, evaluation's included
    return DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)


def synchronised(network: nn.Module, when: bool) -> AbstractContextManager[Any]:
    """Around forward and backward: gradients are averaged over the ranks only if `when`."""
    if when or not isinstance(network, DistributedDataParallel):
        return nullcontext()
    return network.no_sync()
