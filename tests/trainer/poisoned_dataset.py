"""A dataset of this repository's, some of whose recordings become NaN after they were read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from src.datasets import CustomDirAudioDataset


class PoisonedDataset(CustomDirAudioDataset):
    """`poisoned` are utterances; readable audio is finite, so this takes the place of a defect."""

    def __init__(self, *args: Any, poisoned: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.poisoned = set(poisoned)

    def __getitem__(self, position: int) -> dict[str, Any]:
        item = super().__getitem__(position)
        if item["utterance_id"] in self.poisoned:
            item["audio"] = item["audio"] * math.nan
        return item
