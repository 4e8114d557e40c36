"""Steps whose gradients were not finite: counted, and kept for a replay if they do not end.

RUN/checkpoints/skipped_steps/model.safetensors   the weights that the steps found, and left
RUN/checkpoints/skipped_steps/step_12.pt          a step's batches, the random state before each

python scripts/replay_batch.py RUN
"""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from src.trainer.checkpoint import WEIGHTS, contiguous_weights
from src.trainer.distributed import all_gather, on_main
from src.utils.errors import UserError

logger = logging.getLogger(__name__)

FOLDER = "skipped_steps"
NAMES_SHOWN = 20


class Step(NamedTuple):
    """All that a step's gradients depend on, beside the weights."""

    number: int
    batches: list[dict[str, Any]]
    random: list[dict[str, Tensor]]  # `torch_random_state` before each batch

    @property
    def utterances(self) -> str:
        names = [name for batch in self.batches for name in batch["utterance_id"]]
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        return ", ".join(names[:NAMES_SHOWN]) + more


def _of_all_ranks(shares: Sequence[Step]) -> Step:
    return Step(
        shares[0].number,
        [batch for share in shares for batch in share.batches],
        [state for share in shares for state in share.random],
    )


class SkippedSteps:
    """Counts skipped steps and stops the run after `limit` of them in a row.

    Whether a step was skipped stays on the device until `limit` steps have gathered or `read` is
    called, so that the step itself waits for nothing; on a CPU it is read at once.
    """

    def __init__(self, limit: int, run_dir: Path, model: nn.Module) -> None:
        self.limit, self.run_dir, self.model = limit, run_dir, model
        self.total = self.in_a_row = 0
        self._unread: list[tuple[Tensor, Step]] = []
        self._kept: deque[Step] = deque(maxlen=limit)

    def add(self, step: Step, skipped: Tensor) -> None:
        """skipped [] bool, on any device."""
        self._unread.append((skipped, step))
        if skipped.device.type == "cpu" or len(self._unread) >= self.limit:
            self.read()

    def read(self) -> None:
        """Brings the counts up to date; waits for the device.

        Raises:
            UserError: `limit` steps in a row were skipped.
        """
        if not self._unread:
            return
        flags, steps = zip(*self._unread)
        self._unread.clear()
        for skipped, step in zip(torch.stack(flags).tolist(), steps):
            if not skipped:
                self.in_a_row = 0
                self._kept.clear()
                continue
            self.total += 1
            self.in_a_row += 1
            self._kept.append(step)
            logger.warning(
                "step %d skipped: its gradients are not finite; utterances %s",
                *(step.number, step.utterances),
            )
            if self.in_a_row >= self.limit:
                self._stop()

    def _stop(self) -> None:
        steps = [_of_all_ranks(shares) for shares in zip(*all_gather(list(self._kept)))]
        on_main(self._write, steps)
        raise UserError(
            f"the gradients of {self.in_a_row} steps in a row were not finite, at step "
            f"{steps[-1].number} those of {steps[-1].utterances}; see which tensor is the first "
            f"by: python scripts/replay_batch.py {self.run_dir}"
        )

    def _write(self, steps: list[Step]) -> None:
        folder = self.run_dir / "checkpoints" / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        save_file(contiguous_weights(self.model), folder / WEIGHTS)
        dropout = {
            name: module.p
            for name, module in self.model.named_modules()
            if isinstance(module, nn.Dropout)
        }
        for step in steps:
            torch.save(
                {"batches": step.batches, "random": step.random, "dropout": dropout},
                folder / f"step_{step.number}.pt",
            )

    def state_dict(self) -> dict[str, int]:
        self.read()
        return {"total": self.total, "in_a_row": self.in_a_row}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.total, self.in_a_row = state["total"], state["in_a_row"]
