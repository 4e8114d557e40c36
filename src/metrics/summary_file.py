"""`summary.json` of a run folder: the latest result of every evaluated split.

{"test": {"argmax": {"wer": 0.12, "cer": 0.04, "utterances": 200}}}    (fractions, not per cent)
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from src.utils.atomic_file import write_text_atomically

logger = logging.getLogger(__name__)


def update_summary(path: Path | str, split: str, summary: dict[str, Any]) -> None:
    """Replace one split's entry in the JSON file `path`, keeping the others.

    The file is replaced whole. One that cannot be read is moved to `<name>.bak` with a warning.
    """
    path = Path(path)
    splits = {**_read(path), split: summary}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, json.dumps(splits, indent=2) + "\n")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # JSONDecodeError or UnicodeDecodeError
        splits = None
    if isinstance(splits, dict):
        return splits
    aside = path.with_name(path.name + ".bak")
    path.replace(aside)
    logger.warning("%s is not a summary this project wrote; it was moved to %s.", path, aside)
    return {}
