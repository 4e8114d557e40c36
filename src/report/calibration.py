"""Whether words of confidence 0.8 are right four times in five.

Expected calibration error: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
equation 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from src.report.rows import Row


def calibration(rows: Iterable[Row], bins: int = 10) -> dict[str, Any] | None:
    """Over recognised words; right is what the alignment pairs with an equal word.

    Args:
        bins: of equal width over [0, 1]; 1.0 falls into the last.

    Returns:
        `bins`: [mean confidence, share right, words] of each that has words, upwards; `error`,
        the expected calibration error; None where no row has both confidences and a reference.
    """
    confidence, right = [], []
    for row in rows:
        if row.aligned is None:
            continue
        heard = [word.edit == "=" for word in row.aligned if word.edit != "D"]
        for word, is_right in zip(row.words, heard):
            if word.confidence is not None:
                confidence.append(min(max(word.confidence, 0.0), 1.0))
                right.append(is_right)
    if not confidence:
        return None
    values = np.array([confidence, right])
    index = np.minimum((values[0] * bins).astype(int), bins - 1)
    filled = []
    for number in range(bins):
        inside = values[:, index == number]
        if inside.size:
            filled.append([*inside.mean(axis=1).tolist(), inside.shape[1]])
    error = sum(count * abs(right - sure) for sure, right, count in filled) / len(confidence)
    return {"bins": filled, "error": error}
