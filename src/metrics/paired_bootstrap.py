"""Whether one system's error rate is really below another's, on the same utterances.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
ICASSP 2004, section 4. Both systems are scored on each resample, so that what makes an utterance
hard for both cancels: the interval of a difference is far narrower than the two systems' own
intervals suggest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from src.metrics.bootstrap import resampled_sums


@dataclass(frozen=True)
class PairedDifference:
    """`difference` is B's error rate minus A's, a fraction: below 0 where B is better."""

    difference: float
    interval: tuple[float, float]
    p_value: float

    @property
    def p_text(self) -> str:
        """`p = 0.0312`, or `p < 0.001` below what resampling can tell."""
        return f"p = {self.p_value:.4f}" if self.p_value >= 0.001 else "p < 0.001"


def paired_bootstrap(
    edits_a: ArrayLike,
    edits_b: ArrayLike,
    lengths: ArrayLike,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Percentile interval of the difference, and its two-sided p-value.

    The p-value is twice the share of resamples on the rarer side of zero, those at zero counting
    for both sides; the observed corpus counts as one more, so it is never 0 (its least is
    2 / (resamples + 1)).

    Args:
        edits_a, edits_b: [N] errors of each utterance by system A and by system B.
        lengths: [N] reference length of each utterance.
        level, resamples, seed: as for `bootstrap_interval`.

    Raises:
        ValueError: the lists differ in length.
    """
    columns = [np.asarray(column, dtype=np.float64) for column in (edits_a, edits_b, lengths)]
    if len({len(column) for column in columns}) != 1:
        raise ValueError("edits_a, edits_b and lengths must have an entry for each utterance")
    a, b, length = columns
    count = len(a)
    if count == 0:
        return PairedDifference(0.0, (0.0, 0.0), 1.0)

    # Utterances alike in both figures are one outcome of the multinomial, several times as
    # likely: the same distribution from a fraction of the draws.
    rows, times = np.unique(np.stack([b - a, length], axis=1), axis=0, return_counts=True)
    totals = resampled_sums(rows, times / count, count, resamples, seed)
    differences = totals[:, 0] / np.maximum(totals[:, 1], 1)

    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    return PairedDifference(
        difference=float((b - a).sum() / max(length.sum(), 1)),
        interval=(float(low), float(high)),
        p_value=float(min(1.0, 2 * (rarer + 1) / (resamples + 1))),
    )
