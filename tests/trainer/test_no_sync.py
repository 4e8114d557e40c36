"""Nothing in a training step may ask for a value on the device: the CPU would wait for the GPU."""

from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from src.trainer.build import build_trainer
from src.trainer.run_folder import open_run_folder
from src.utils.random_state import seed_everything

# what reads a value, or makes a shape that hangs on values
OPERATORS = {"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero", "_unique2"}


class WaitsForTheDevice(AssertionError):
    pass


def refuse(*args, **kwargs):
    raise WaitsForTheDevice


class RefuseOperators(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name == "index" and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if by_mask or name in OPERATORS:
            raise WaitsForTheDevice(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def reads_refused():
    """On a CPU tolist(), numpy() and cpu() call no operator."""
    with RefuseOperators(), patch.multiple(torch.Tensor, tolist=refuse, numpy=refuse, cpu=refuse):
        yield


def start(config):
    seed_everything(config.seed)
    trainer = build_trainer(config, open_run_folder(config))
    trainer._start_clock()
    return trainer, iter(trainer.stream)


@pytest.mark.parametrize(
    "read",
    [
        *(bool, float, torch.nonzero, torch.unique, torch.Tensor.item),
        *(lambda x: x.tolist(), lambda x: x.cpu(), lambda x: x.numpy()),
        *(lambda x: x[x > 0], lambda x: x.masked_select(x > 0)),
    ],
)
def test_reads_are_noticed(read):
    with pytest.raises(WaitsForTheDevice), reads_refused():
        read(torch.ones(1))


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["trainer.precision=bf16", "trainer.accumulation=2", "model.positions=rotary"],
        [
            *("model.n_layers=3", "model.intermediate_layers=[1]", "loss.intermediate_weight=0.3"),
            *("model.stochastic_depth=0.2", "model.activation_checkpointing=true"),
            *("trainer.ema_decay=0.99", "optimizer=adamw_groups"),
        ],
        ["loss=cr_ctc"],
    ],
)
def test_a_step_reads_nothing(compose_tiny, options):
    trainer, batches = start(compose_tiny(*options))
    trainer._optimizer_step(batches)  # sets up what later steps use
    batch = [next(batches) for _ in range(trainer.accumulation)]
    trainer.skipped_steps.read = lambda: None  # on a CPU at each step, on a GPU every few steps
    with reads_refused():
        trainer._optimizer_step(iter(batch))


@pytest.mark.gpu
def test_a_step_does_not_wait_for_the_gpu(compose_tiny):
    """But in PyTorch's CTC, which copies the lengths to and fro; another loss stands in for it."""
    trainer, batches = start(compose_tiny("device=cuda", "trainer.precision=bf16"))
    trainer.criterion = lambda log_probs, **batch: {
        "loss": log_probs.square().mean(),
        "infinite_losses": torch.zeros((), device=log_probs.device),
    }
    trainer._optimizer_step(batches)
    batch = next(batches)
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer._optimizer_step(iter([batch]))
    finally:
        torch.cuda.set_sync_debug_mode("default")
