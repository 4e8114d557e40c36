"""What the trainer may ask of any writer; this one does nothing.

The writer of a run that logs nowhere, and of every process of a distributed run but the first:
call sites need no `if writer`.

writer.set_step(100, mode="train")
writer.add_scalars({"loss": 1.5, "learning_rate": 1e-3})
writer.set_step(100, mode="dev-clean")
writer.add_scalar("wer/argmax", 0.25)
writer.flush()
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor


class BaseWriter:
    """Null writer and interface. Everything is logged at the step and mode set last."""

    def __init__(self, run_dir: Path | str | None = None) -> None:
        """Every writer is built with the run folder; this one leaves it alone."""

    def set_step(self, step: int, mode: str = "train") -> None:
        """From here on log at optimizer step `step` of `mode`: "train" or a split's name."""

    def add_scalar(self, name: str, value: float) -> None:
        """Log one number (or tensor of one element, which synchronises with its device)."""

    def add_scalars(self, scalars: Mapping[str, float]) -> None:
        """Log several numbers by name."""

    def add_image(self, name: str, image: np.ndarray) -> None:
        """Log a picture, uint8 [H, W, 3] in RGB."""

    def add_audio(self, name: str, audio: Tensor, sample_rate: int) -> None:
        """Log a mono waveform, float [S] in [-1, 1]."""

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Log rows of cells, such as references beside predictions."""

    def truncate_after(self, step: int, again: Collection[str] = ()) -> None:
        """Forget what was logged after `step`, and at `step` in the modes `again`: training
        resumes from there and logs it anew."""

    def flush(self) -> None:
        """Make what was logged so far survive a kill of the process."""

    def close(self) -> None:
        """Finish; nothing may be logged afterwards."""
