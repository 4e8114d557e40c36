"""What a decoder says of one utterance."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Word:
    """`start` and `end` in seconds; `confidence` in [0, 1]."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass
class Hypothesis:
    """One reading. `score` = `acoustic_score` + `lm_score` + `word_bonus`, natural logarithms.

    `frames[i]` is the index of the model's output frame at which `tokens[i]` is most probable.
    """

    text: str
    score: float
    acoustic_score: float
    lm_score: float = 0.0
    word_bonus: float = 0.0
    tokens: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
