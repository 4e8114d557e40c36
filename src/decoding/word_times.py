"""From tokens and their frames to words with times and confidences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from src.decoding.hypothesis import Word
from src.text_encoder import CTCTextEncoder


def words_of_tokens(
    tokens: Sequence[int],
    frames: Sequence[int],
    log_probs: Sequence[float],
    text_encoder: CTCTextEncoder,
    frame_seconds: float,
) -> list[Word]:
    """Words parted at the encoder's word boundary (a space token, or `▁` inside a piece).

    A word lasts from its first token's frame to the end of its last token's; CTC places tokens
    at peaks, so both are good to a few frames only. Its confidence is the geometric mean of its
    tokens' probabilities (`log_probs`, natural logarithms, one a token).
    """
    words: list[Word] = []
    letters: list[str] = []
    span: list[tuple[int, float]] = []

    def close() -> None:
        if letters:
            mean = sum(log_prob for _, log_prob in span) / len(span)
            start, end = span[0][0] * frame_seconds, (span[-1][0] + 1) * frame_seconds
            words.append(Word(text_encoder.read("".join(letters)), start, end, math.exp(mean)))
        letters.clear()
        span.clear()

    for token, frame, log_prob in zip(tokens, frames, log_probs):
        before, boundary, piece = text_encoder.vocab[token].rpartition(text_encoder.word_boundary)
        if boundary:
            letters.extend(before)
            close()
        if piece:
            letters.append(piece)
            span.append((frame, log_prob))
    close()
    return words
