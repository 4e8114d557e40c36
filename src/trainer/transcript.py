"""What was said in a recording, as a Python object and as a line of `transcripts.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from src.decoding import Hypothesis, Word

Record = dict[str, Any]


@dataclass
class Transcript:
    """`score` is the hypothesis's, in natural logarithms; `duration` in seconds.

    `confidence`, in [0, 1], is the geometric mean of the words' confidences, None where there are
    no words: silence has no confidence.
    """

    text: str
    score: float
    confidence: float | None
    words: list[Word]
    duration: float

    @classmethod
    def of(cls, hypothesis: Hypothesis, duration: float) -> Transcript:
        """Words' times are kept within the recording: its last frame may reach beyond its end."""
        words = [
            replace(word, start=min(word.start, duration), end=min(word.end, duration))
            for word in hypothesis.words
        ]
        return cls(hypothesis.text, float(hypothesis.score), confidence_of(words), words, duration)

    def record(self) -> Record:
        """Plain values for JSON; times in ms."""
        words = [
            {
                "text": word.text,
                "start": round(word.start, 3),
                "end": round(word.end, 3),
                "confidence": round(word.confidence, 5),
            }
            for word in self.words
        ]
        return {
            "duration": round(self.duration, 3),
            "text": self.text,
            "score": round(self.score, 4) if math.isfinite(self.score) else None,
            "confidence": None if self.confidence is None else round(self.confidence, 5),
            "words": words,
        }


def confidence_of(words: Sequence[Word]) -> float | None:
    """Geometric mean of the words' confidences; None where there are no words."""
    if not words:
        return None
    if any(word.confidence <= 0 for word in words):
        return 0.0
    return math.exp(sum(math.log(word.confidence) for word in words) / len(words))


def json_line(record: Record) -> str:
    """The record as a line. A path that is no UTF-8 is escaped, so that the file still is."""
    line = json.dumps(record, ensure_ascii=False)
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError:
            line = json.dumps(record)
    return line + "\n"
