"""Batches without end that know where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader


class BatchStream:
    """Pass after pass over a loader, reshuffled each time, resumable at any batch.

    The position counts the batches that were used, not those the loader's workers have already
    fetched ahead. Each batch says of which pass it is (`epoch`), for what is drawn by it.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self.epoch = 0
        self.batches = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            self.loader.dataset.set_epoch(self.epoch)  # type: ignore[attr-defined]
            self.loader.batch_sampler.load_state_dict(self.state_dict())  # type: ignore[union-attr]
            for batch in self.loader:
                self.batches += 1
                yield {**batch, "epoch": self.epoch}
            self.epoch += 1
            self.batches = 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Takes effect at the next `iter`."""
        self.epoch, self.batches = state["epoch"], state["batches"]
