"""What is most often taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from src.report.rows import Row


def confusions(rows: Iterable[Row], most: int = 10) -> dict[str, Any] | None:
    """Most frequent first, equals by the alphabet; None where no row has a reference.

    Returns:
        `substitutions`: [reference, hypothesis, count]; `deletions`, `insertions`: [word, count].
    """
    aligned = [row.aligned for row in rows if row.aligned is not None]
    if not aligned:
        return None
    counts = Counter(word for words in aligned for word in words if word.edit != "=")
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    def of(edit: str) -> list[list]:
        return [
            [*(word for word in (pair.reference, pair.hypothesis) if word), count]
            for pair, count in ranked
            if pair.edit == edit
        ][:most]

    return {"substitutions": of("S"), "deletions": of("D"), "insertions": of("I")}
