"""Metrics, pictures, audio and tables for TensorBoard.

tensorboard --logdir RUN_DIR/tensorboard
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from src.logger.base_writer import BaseWriter
from src.utils.errors import UserError


class TensorBoardWriter(BaseWriter):
    """Event files in `run_dir/tensorboard`, tags as `mode/name`.

    Raises:
        UserError: the package tensorboard is not installed.
    """

    def __init__(self, run_dir: Path | str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError(
                "writer=tensorboard needs the package tensorboard: run `pip install tensorboard`, "
                "or choose another writer."
            ) from error
        self._open = SummaryWriter
        self._log_dir = str(Path(run_dir) / "tensorboard")
        self._events = SummaryWriter(self._log_dir)
        self._step, self._mode = 0, "train"

    def set_step(self, step: int, mode: str = "train") -> None:
        self._step, self._mode = step, mode

    def add_scalar(self, name: str, value: float) -> None:
        self._events.add_scalar(self._tag(name), value, self._step)

    def add_scalars(self, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self.add_scalar(name, value)

    def add_image(self, name: str, image: np.ndarray) -> None:
        self._events.add_image(self._tag(name), image, self._step, dataformats="HWC")

    def add_audio(self, name: str, audio: Tensor, sample_rate: int) -> None:
        self._events.add_audio(self._tag(name), audio[None], self._step, sample_rate)

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        table = [columns, ["---"] * len(columns), *rows]
        self._events.add_text(self._tag(name), "\n".join(map(_markdown_row, table)), self._step)

    def truncate_after(self, step: int, again: Collection[str] = ()) -> None:
        """TensorBoard hides what earlier event files say of later steps (of none by mode)."""
        self._events.close()
        self._events = self._open(self._log_dir, purge_step=step + 1)

    def flush(self) -> None:
        self._events.flush()

    def close(self) -> None:
        self._events.close()

    def _tag(self, name: str) -> str:
        return f"{self._mode}/{name}"


def _markdown_row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
