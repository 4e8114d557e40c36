"""An index of utterances kept as JSON lines: a header, then one row per line.

The header carries the fingerprint of the folder that was indexed, the number of rows and the
warnings that came up, which are worth repeating whenever the index is used.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import NamedTuple

from src.datasets.base_dataset import Row

logger = logging.getLogger(__name__)

FORMAT = 1


class Index(NamedTuple):
    """Rows with `path` relative to the indexed folder, and what was wrong in that folder."""

    rows: list[Row]
    warnings: list[str]


def load_index(path: Path, fingerprint: str) -> Index | None:
    """The index kept at `path`, or None if there is none, it is cut off, or the folder changed."""
    try:
        with path.open(encoding="utf-8") as lines:
            header = json.loads(next(lines))
            if (header["format"], header["fingerprint"]) != (FORMAT, fingerprint):
                return None
            rows = [json.loads(line) for line in lines]
    except (OSError, StopIteration, ValueError, KeyError, TypeError):
        return None
    return Index(rows, header["warnings"]) if len(rows) == header["utterances"] else None


def save_index(path: Path, fingerprint: str, index: Index) -> None:
    """Writes the index whole or not at all; a folder that cannot be written is only a warning."""
    header = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "utterances": len(index.rows),
        "warnings": index.warnings,
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            for line in (header, *index.rows):
                file.write(json.dumps(line) + "\n")
        temporary.replace(path)
    except OSError as error:
        logger.warning("index not cached in %s (%s): it is built again next time", path, error)
