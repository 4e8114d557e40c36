from __future__ import annotations

import random

import pytest
import torch

from src.decoding.argmax import ArgmaxDecoder
from src.decoding.beam_search import BeamSearchDecoder
from src.decoding.segments import joined, segments
from src.text_encoder import CTCTextEncoder

ENCODER = CTCTextEncoder()


def speech(seed, words=60, sure=0.97):
    """Log-probabilities [T, V] of random words, each followed by its space and a pause."""
    draw = random.Random(seed)
    frames = []
    for _ in range(words):
        letters = "".join(draw.choices("abc", k=draw.randint(1, 5)))
        for token in [*ENCODER.encode(letters), ENCODER.vocab.index(" ")]:
            frames += [token] * draw.randint(1, 3) + [0] * draw.randint(1, 4)
        frames += [0] * draw.randint(0, 30)
    probabilities = torch.full((len(frames), len(ENCODER)), (1 - sure) / (len(ENCODER) - 1))
    probabilities[torch.arange(len(frames)), torch.tensor(frames)] = sure
    return probabilities.log()


def decoded_in_parts(decoder, log_probs, piece, frames):
    first, parts = 0, []
    for segment in segments(log_probs.split(piece), ENCODER, frames):
        parts.append((first, decoder(segment[None], torch.tensor([len(segment)]))[0][0]))
        first += len(segment)
    assert first == len(log_probs)
    return joined(parts, 0.04), len(parts)


@pytest.mark.parametrize("decoder", [ArgmaxDecoder(ENCODER), BeamSearchDecoder(ENCODER)])
@pytest.mark.parametrize("seed, piece, frames", [(0, 7, 40), (1, 100, 60), (2, 10_000, 150)])
def test_segments_put_together_are_one_decoding(decoder, seed, piece, frames):
    log_probs = speech(seed)
    [[whole]] = decoder(log_probs[None], torch.tensor([len(log_probs)]))
    parts, count = decoded_in_parts(decoder, log_probs, piece, frames)
    assert count > 3
    assert parts.text == whole.text
    assert parts.frames == whole.frames
    assert parts.score == pytest.approx(whole.score, rel=1e-3)
    assert [(w.text, w.confidence) for w in parts.words] == [
        (w.text, pytest.approx(w.confidence, abs=1e-6)) for w in whole.words
    ]
    assert [t for w in parts.words for t in (w.start, w.end)] == pytest.approx(
        [t for w in whole.words for t in (w.start, w.end)]
    )


def test_lengths_are_bounded_also_where_nobody_is_silent():
    """A frame that is nearly blank is taken where there is no pause."""
    log_probs = torch.randn(1000, len(ENCODER), generator=torch.Generator().manual_seed(0))
    lengths = [len(part) for part in segments([log_probs.log_softmax(-1)], ENCODER, 100)]
    assert sum(lengths) == 1000
    assert all(100 <= length <= 200 for length in lengths[:-1])
    assert lengths[-1] < 200


def test_a_word_with_a_pause_in_it_is_not_cut_while_there_is_another_place():
    log_probs = torch.full((120, len(ENCODER)), -10.0)
    log_probs[:, 0] = 0.0
    for frame, letter in ((62, "a"), (90, "b"), (95, " "), (102, "c")):  # "a ... b c"
        log_probs[frame] = -10.0
        log_probs[frame, ENCODER.vocab.index(letter)] = 0.0
    first, _ = segments([log_probs], ENCODER, 60)
    assert 95 < len(first) < 102
