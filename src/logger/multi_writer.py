"""Several writers as one: the files that are always written and, say, Comet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from src.logger.base_writer import BaseWriter


class MultiWriter(BaseWriter):
    """Forwards every call to each of `writers`, in order."""

    def __init__(self, writers: Sequence[BaseWriter]) -> None:
        self.writers = list(writers)

    def set_step(self, step: int, mode: str = "train") -> None:
        for writer in self.writers:
            writer.set_step(step, mode)

    def add_scalar(self, name: str, value: float) -> None:
        for writer in self.writers:
            writer.add_scalar(name, value)

    def add_scalars(self, scalars: Mapping[str, float]) -> None:
        for writer in self.writers:
            writer.add_scalars(scalars)

    def add_image(self, name: str, image: np.ndarray) -> None:
        for writer in self.writers:
            writer.add_image(name, image)

    def add_audio(self, name: str, audio: Tensor, sample_rate: int) -> None:
        for writer in self.writers:
            writer.add_audio(name, audio, sample_rate)

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        for writer in self.writers:
            writer.add_table(name, columns, rows)

    def truncate_after(self, step: int, again: Collection[str] = ()) -> None:
        for writer in self.writers:
            writer.truncate_after(step, again)

    def flush(self) -> None:
        for writer in self.writers:
            writer.flush()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
