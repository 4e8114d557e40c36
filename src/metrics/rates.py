"""Corpus-level figures of one system, from what each utterance has wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from src.metrics.bootstrap import bootstrap_interval
from src.metrics.error_rate import ErrorCounts


def error_rates(words: Sequence[ErrorCounts], characters: Sequence[ErrorCounts]) -> dict[str, Any]:
    """Ready for JSON; rates are fractions, summed edits over summed reference length.

    Args:
        words, characters: of each utterance, at least one.
    """
    total = sum(words, start=ErrorCounts())
    return {
        "wer": total.rate,
        "wer_interval": list(interval_of(words)),
        "cer": sum(characters, start=ErrorCounts()).rate,
        "cer_interval": list(interval_of(characters)),
        "utterances": total.utterances,
        "words": total.reference_length,
        "substitutions": total.substitutions,
        "deletions": total.deletions,
        "insertions": total.insertions,
    }


def interval_of(counts: Sequence[ErrorCounts]) -> tuple[float, float]:
    """95% bootstrap interval over utterances of their common rate."""
    return bootstrap_interval(
        [utterance.errors for utterance in counts],
        [utterance.reference_length for utterance in counts],
    )
