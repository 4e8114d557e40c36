"""An index that many processes can share."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

Row = dict[str, Any]


class RowTable(Sequence[Row]):
    """Rows, pickled one by one into a single block of bytes; each access makes a new dict.

    A list of dicts is copied by every forked worker, page by page, because reading an object
    counts a reference in it; 280,000 rows (960 hours) are 500 MB so. The block has no references
    in it, and is a quarter of the size. What `select` gives has the same block.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        pickled = [pickle.dumps(row, pickle.HIGHEST_PROTOCOL) for row in rows]
        ends = list(accumulate(map(len, pickled), initial=0))
        self._block = b"".join(pickled)
        self._places = np.array([ends[:-1], ends[1:]], dtype=np.int64)
        self.durations = np.array([row["duration"] for row in rows], dtype=np.float64)

    def select(self, positions: Any) -> RowTable:
        """The rows at `positions`: a slice, a list of numbers, or a mask of booleans."""
        selected = object.__new__(RowTable)
        selected._block = self._block
        selected._places = self._places[:, positions]
        selected.durations = self.durations[positions]
        return selected

    def __len__(self) -> int:
        return len(self.durations)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return self.select(position)
        start, end = self._places[:, position]
        return pickle.loads(memoryview(self._block)[start:end])

    def __iter__(self) -> Iterator[Row]:
        return (self[position] for position in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)
