"""A record of an inference run as a row of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from src.metrics import AlignedWord, align_words


class HeardWord(NamedTuple):
    """Seconds; any of the three may be unknown."""

    start: float | None
    end: float | None
    confidence: float | None


class Row(NamedTuple):
    """`words` are one for each word of `text`, or none; `aligned` is None without a reference."""

    utterance_id: str
    text: str
    reference: str | None
    aligned: list[AlignedWord] | None
    words: list[HeardWord]
    confidence: float | None
    duration: float | None
    path: str | None

    @property
    def edits(self) -> str | None:
        """One of `=SDI` for each aligned word."""
        return None if self.aligned is None else "".join(word.edit for word in self.aligned)


def make_row(record: Mapping[str, Any]) -> Row:
    """Confidence is the record's own, or else the mean of its words'."""
    text = " ".join(str(record["text"]).split())
    reference = record.get("reference")
    if reference is not None:
        reference = " ".join(str(reference).split())
    words = _words(record.get("words") or [], text)
    confidence = _number(record.get("confidence"))
    known = [word.confidence for word in words if word.confidence is not None]
    if confidence is None and known:
        confidence = sum(known) / len(known)
    return Row(
        utterance_id=str(record["utterance_id"]),
        text=text,
        reference=reference,
        aligned=None if reference is None else align_words(reference, text),
        words=words,
        confidence=confidence,
        duration=_number(record.get("duration")),
        path=record.get("path") or record.get("audio_filepath"),
    )


def _words(words: list[Mapping[str, Any]], text: str) -> list[HeardWord]:
    """None at all where they are not the text's, such as after another normalisation."""
    if [word.get("text") for word in words] != text.split():
        return []
    return [HeardWord(*(_number(word.get(k)) for k in HeardWord._fields)) for word in words]


def _number(value: Any) -> float | None:
    """None for what is not a finite number: JSON has no NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
