"""Per-utterance predictions as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_table(rows: Sequence[Mapping[str, Any]], path: Path | str) -> None:
    """Write dicts of equal keys, such as `RecognitionMetrics.rows()`, with a header.

    None becomes an empty cell. No rows give an empty file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a file's name is bytes: one that is no UTF-8 is written as it is
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        if rows:
            writer.writeheader()
        writer.writerows(rows)
