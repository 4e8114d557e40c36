"""A long recording's log-probabilities are decoded in segments, cut where nobody speaks.

A beam search holds all frames and its prefixes until the end; cut at a pause between words it
holds minutes, and a language model takes the pause for the end of a sentence, which it mostly is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from src.decoding.hypothesis import Hypothesis
from src.text_encoder import CTCTextEncoder

SURE = math.log(0.9)  # of a blank that belongs to a pause


def segments(
    pieces: Iterable[Tensor], text_encoder: CTCTextEncoder, frames: int
) -> Iterator[Tensor]:
    """Log-probabilities [m, V] of `frames` to twice as many frames, the last of fewer.

    pieces: [n, V] each, which follow on each other. A cut is in the middle of the longest pause
    between words that best-path decoding hears after `frames` frames; where there is none, of the
    longest pause inside a word, or else at the frame that is most probably blank.
    """
    held: list[Tensor] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        while count >= 2 * frames:
            joined = torch.cat(held)
            cut = frames + _pause(joined[frames : 2 * frames], text_encoder)
            # copies, or a view would keep all of it
            yield joined[:cut].clone()
            held = [joined[cut:].clone()]
            count = len(held[0])
    if count:
        yield torch.cat(held)


def _pause(log_probs: Tensor, text_encoder: CTCTextEncoder) -> int:
    """The frame of `log_probs` [n, V] to cut before."""
    blank = log_probs[:, text_encoder.blank].cpu()
    token = log_probs.argmax(dim=-1).cpu()
    calm = (token == text_encoder.blank) & (blank >= SURE)
    edges = torch.diff(calm.int(), prepend=torch.zeros(1).int(), append=torch.zeros(1).int())
    starts, ends = (edges == 1).nonzero()[:, 0].tolist(), (edges == -1).nonzero()[:, 0].tolist()
    if not starts:
        return int(blank.argmax())

    def rank(pause: tuple[int, int]) -> tuple[bool, int]:
        start, end = pause
        before = _token(token[:start].flip(0), text_encoder)
        after = _token(token[end:], text_encoder)
        boundary = text_encoder.word_boundary
        # at the ends nothing is known of what comes before or after
        between_words = before.endswith(boundary) or after.startswith(boundary)
        return between_words, end - start

    start, end = max(zip(starts, ends), key=rank)
    return (start + end) // 2


def _token(tokens: Tensor, text_encoder: CTCTextEncoder) -> str:
    """The spelling of the first that is no blank; nothing where there is none."""
    spoken = tokens[tokens != text_encoder.blank]
    return text_encoder.vocab[int(spoken[0])] if len(spoken) else ""


def joined(parts: Iterable[tuple[int, Hypothesis]], frame_seconds: float) -> Hypothesis:
    """One hypothesis of those of its segments, each with the frame that its segment starts at.

    Scores add up, as the segments are independent of each other; times are the recording's.
    """
    whole = Hypothesis("", 0.0, 0.0)
    texts = []
    for first, part in parts:
        offset = first * frame_seconds
        whole.score += part.score
        whole.acoustic_score += part.acoustic_score
        whole.lm_score += part.lm_score
        whole.word_bonus += part.word_bonus
        whole.tokens += part.tokens
        whole.frames += [frame + first for frame in part.frames]
        whole.words += [
            replace(word, start=word.start + offset, end=word.end + offset) for word in part.words
        ]
        texts.append(part.text)
    whole.text = " ".join(text for text in texts if text)
    return whole
