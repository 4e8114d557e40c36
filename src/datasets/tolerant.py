"""A dataset in which one bad file does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from src.datasets.collate import Collate
from src.utils.errors import UserError


class TolerantDataset(Dataset):
    """Some of a dataset's utterances, by their `positions` in it; all by default.

    Gives `{"path", "utterance_id", "error"}` for an utterance that cannot be read.
    """

    def __init__(self, dataset: Any, positions: Sequence[int] | None = None) -> None:
        self.dataset = dataset
        self.positions = range(len(dataset)) if positions is None else positions

    @property
    def durations(self) -> list[float]:
        """Seconds of each."""
        durations = self.dataset.durations
        return [durations[position] for position in self.positions]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, item: int) -> dict[str, Any]:
        position = self.positions[item]
        try:
            return self.dataset[position]
        except UserError as error:
            row = self.dataset.index[position]
            return {
                "path": row["path"],
                "utterance_id": row["utterance_id"],
                "error": str(error),
            }


class TolerantCollate:
    """A batch of the readable items (None if there are none) and the list of the others."""

    def __init__(self, collate: Collate) -> None:
        self.collate = collate

    def __call__(
        self, items: list[dict[str, Any]]
    ) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        failures = [item for item in items if "error" in item]
        readable = [item for item in items if "error" not in item]
        return self.collate(readable) if readable else None, failures
