"""An index of utterances, the limits on it, and the audio behind it.

A dataset builds its index (one plain dict per utterance: `utterance_id`, `path`, `text`,
`duration`, `speaker`) and hands it to `BaseDataset`, which does the rest.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from src.datasets.packed import read_packed
from src.datasets.row_table import Row, RowTable
from src.utils.audio import read_audio
from src.utils.errors import UserError

logger = logging.getLogger(__name__)


class BaseDataset(torch.utils.data.Dataset):
    """Utterances as `{"audio": FloatTensor [S], "text", "utterance_id", "path", "duration",
    "speaker"}`; `text` is None where there is no transcript.

    Args:
        index: one row per utterance (keys above, without the audio); with `packed` where the
            samples lie in a pack (`src.datasets.packed`).
        sample_rate: of the audio returned, in Hz; files are resampled to it.
        min_duration, max_duration: in seconds, inclusive; outside them an utterance is dropped.
        max_text_length: in characters of normalised text.
        min_characters_per_second, max_characters_per_second: of normalised text; a transcript far
            from what can be said in the time is of other speech, or of a part of it only.
        limit: keep the first `limit` utterances, after the filters and the shuffle.
        shuffle_index: shuffle the index once, by `seed`.
        seed: of that shuffle.
        name: what the log calls this dataset; by default the name of the class.

    Raises:
        UserError: nothing is left after the filters.
    """

    def __init__(
        self,
        index: list[Row],
        sample_rate: int = 16000,
        min_duration: float | None = None,
        max_duration: float | None = None,
        max_text_length: int | None = None,
        min_characters_per_second: float | None = None,
        max_characters_per_second: float | None = None,
        limit: int | None = None,
        shuffle_index: bool = False,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self.name = name or type(self).__name__
        self.index = index
        if not index:
            raise UserError(f"{self.name} is empty: check the folder it reads.")
        if limit is not None and limit < 1:
            raise UserError(f"{self.name}: limit={limit} keeps nothing; use null to keep all.")

        if min_duration is not None:
            self.filter(
                lambda row: row["duration"] >= min_duration, f"shorter than {min_duration} s"
            )
        if max_duration is not None:
            self.filter(
                lambda row: row["duration"] <= max_duration, f"longer than {max_duration} s"
            )
        if max_text_length is not None:
            self.filter(
                lambda row: len(row["text"] or "") <= max_text_length,
                f"text longer than {max_text_length} characters",
            )
        if min_characters_per_second is not None:
            self.filter(
                lambda row: _characters_per_second(row) >= min_characters_per_second,
                f"fewer than {min_characters_per_second} characters a second",
            )
        if max_characters_per_second is not None:
            self.filter(
                lambda row: _characters_per_second(row) <= max_characters_per_second,
                f"more than {max_characters_per_second} characters a second",
            )
        if shuffle_index:
            order = random.Random(seed).sample(range(len(self)), len(self))
            self.index = self.index.select(order)
        if limit is not None:
            self.index = self.index[:limit]
        logger.info("%s: %d utterances, %.2f h", self.name, len(self), _hours(self.index))

    def filter(self, keep: Callable[[Row], bool], reason: str) -> None:
        """Drops the rows for which `keep(row)` is False and logs how many, how long and why.

        Raises:
            UserError: no row is kept.
        """
        kept = np.array([bool(keep(row)) for row in self.index])
        if kept.all():
            return
        dropped = self.index.select(~kept)
        logger.info(
            "%s: dropped %d of %d utterances (%.2f h): %s",
            self.name,
            len(dropped),
            len(self.index),
            _hours(dropped),
            reason,
        )
        if not kept.any():
            raise UserError(
                f"{self.name}: all {len(dropped)} utterances left are dropped ({reason}): "
                "change the limit or the data."
            )
        self.index = self.index.select(kept)

    @property
    def index(self) -> RowTable:
        """One row per utterance, in the order of the items."""
        return self._index

    @index.setter
    def index(self, rows: Sequence[Row]) -> None:
        self._index = rows if isinstance(rows, RowTable) else RowTable(rows)

    @property
    def durations(self) -> list[float]:
        """Seconds of each utterance, in the order of the index."""
        return self.index.durations.tolist()

    @property
    def texts(self) -> list[str]:
        """Transcripts, to train a text encoder on; utterances without one are left out."""
        return [row["text"] for row in self.index if row["text"] is not None]

    def set_epoch(self, epoch: int) -> None:
        """Recordings are the same in each epoch; datasets that vary by epoch override this."""

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, position: int) -> dict[str, Any]:
        row = self.index[position]
        place = row.pop("packed", None)
        audio = read_packed(*place) if place else read_audio(row["path"], self.sample_rate)
        return {**row, "audio": audio}


def _hours(rows: RowTable) -> float:
    return float(rows.durations.sum()) / 3600


def _characters_per_second(row: Row) -> float:
    return len(row["text"] or "") / row["duration"]
