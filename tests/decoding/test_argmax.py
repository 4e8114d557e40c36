import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.decoding import ArgmaxDecoder
from src.text_encoder import CTCTextEncoder, SentencePieceCTCTextEncoder

ENCODER = CTCTextEncoder()


def log_probs_of(path, probability=0.9):
    """[1, T, V]: each frame gives its token `probability`, the rest shared by the others."""
    V = len(ENCODER)
    probs = torch.full((1, len(path), V), (1 - probability) / (V - 1))
    probs[0, range(len(path)), path] = probability
    return probs.log()


def path_of(frames):
    """`"_hh_i"` to tokens, `_` the blank."""
    return [0 if char == "_" else ENCODER.vocab.index(char) for char in frames]


@given(st.lists(st.lists(st.sampled_from([0, 1, 2, 27, 28]), max_size=12), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_batched_text_is_the_collapsed_best_path(paths):
    lengths = torch.tensor([len(path) for path in paths])
    padded = torch.rand(len(paths), 12, len(ENCODER)).log()  # padding may say anything
    for b, path in enumerate(paths):
        if path:
            padded[b, : len(path)] = log_probs_of(path)[0]
    for path, [hypothesis] in zip(paths, ArgmaxDecoder(ENCODER)(padded, lengths), strict=True):
        assert hypothesis.text == ENCODER.ctc_decode(path)
        assert hypothesis.score == pytest.approx(len(path) * math.log(0.9), abs=1e-4)
        assert len(hypothesis.tokens) == len(hypothesis.frames)
        assert all(path[f] == t for f, t in zip(hypothesis.frames, hypothesis.tokens))


def test_words_have_times_and_confidences():
    frames = "__hh_i__  _yo_uu__"
    log_probs = log_probs_of(path_of(frames), 0.8)
    [[hypothesis]] = ArgmaxDecoder(ENCODER, frame_seconds=0.04)(
        log_probs, torch.tensor([len(frames)])
    )
    assert [word.text for word in hypothesis.words] == ["hi", "you"]
    hi, you = hypothesis.words
    assert (hi.start, hi.end) == pytest.approx((0.08, 0.24))
    assert (you.start, you.end) == pytest.approx((0.44, 0.60))
    assert hi.confidence == pytest.approx(0.8, abs=1e-5)


def test_words_of_subwords_part_at_the_boundary_piece(tmp_path):
    texts = ["the farmer opened the window", "a teacher followed the river"] * 20
    encoder = SentencePieceCTCTextEncoder(30, cache_dir=str(tmp_path)).fit(texts)
    tokens = encoder.encode("the river opened")
    path = [frame for token in tokens for frame in (token, 0)]
    log_probs = torch.full((1, len(path), len(encoder)), -20.0)
    log_probs[0, range(len(path)), path] = 0.0
    [[hypothesis]] = ArgmaxDecoder(encoder)(log_probs, torch.tensor([len(path)]))
    assert hypothesis.text == "the river opened"
    assert [word.text for word in hypothesis.words] == ["the", "river", "opened"]


def test_nothing_in_nothing_out():
    [[hypothesis]] = ArgmaxDecoder(ENCODER)(log_probs_of(path_of("ab")), torch.tensor([0]))
    assert (hypothesis.text, hypothesis.score, hypothesis.words) == ("", 0.0, [])
