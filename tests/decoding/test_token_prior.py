"""Dividing by the tokens' prior is what it says, whatever searches."""

from pathlib import Path

import pytest
import torch

from src.decoding.beam_search import BeamSearchDecoder
from src.decoding.ngram_lm import NGramLM
from src.decoding.simulate import simulate
from src.decoding.token_prior import scaled_prior, without_prior
from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError

ARPA = Path(__file__).parent / "fixtures" / "grammar-3gram.arpa"
TEXTS = (ARPA.parent / "grammar.txt").read_text().splitlines()[:6]


@pytest.fixture
def encoder():
    encoder = CTCTextEncoder()
    encoder.count(TEXTS)
    return encoder


@pytest.fixture
def posteriors(encoder):
    [(log_probs, length, _)] = simulate(TEXTS, encoder, noise=0.35).batches(len(TEXTS))
    return log_probs, length


@pytest.mark.parametrize("backend", ["numba", "tensor"])
def test_the_search_is_that_of_the_quotients(encoder, posteriors, backend):
    log_probs, length = posteriors
    settings = {"lm": NGramLM.from_arpa(ARPA), "alpha": 0.7, "beta": 0.3, "beam_size": 8}
    counts = torch.tensor(encoder.token_counts) + 1
    quotients = log_probs.exp() / (counts / counts.sum()) ** 0.6
    by_hand = (quotients / quotients.sum(dim=-1, keepdim=True)).log()

    found = BeamSearchDecoder(encoder, backend=backend, prior_scale=0.6, **settings)(*posteriors)
    judged = BeamSearchDecoder(encoder, backend="numba", **settings)(by_hand, length)
    plain = BeamSearchDecoder(encoder, backend="numba", **settings)(*posteriors)
    for [best], [judge] in zip(found, judged):
        assert best.text == judge.text
        assert best.score == pytest.approx(judge.score, abs=1e-3)
        assert best.acoustic_score == pytest.approx(judge.acoustic_score, abs=1e-3)
    assert [best.text for [best] in found] != [best.text for [best] in plain]


def test_confidences_are_the_model_s_own(encoder, posteriors):
    """The prior tells which text, not how sure the model was of it."""
    [frames] = simulate(["a"], encoder, noise=0.15).log_probs
    length = torch.tensor([len(frames)])
    plain, divided = (
        BeamSearchDecoder(encoder, prior_scale=scale)(frames[None], length)[0][0]
        for scale in (0.0, 0.3)
    )
    assert plain.text == divided.text
    assert plain.words == divided.words
    assert plain.acoustic_score != divided.acoustic_score


def test_impossible_frames_stay_impossible(encoder):
    frames = torch.full((2, len(encoder)), float("-inf"))
    frames[1, 3] = 0.0
    rest = without_prior(frames, scaled_prior(encoder, 0.5))
    assert torch.equal(rest, frames)


def test_bad_scales_and_uncounted_tokens_are_said(encoder):
    with pytest.raises(UserError, match="prior_scale=-1 would favour frequent tokens twice"):
        BeamSearchDecoder(encoder, prior_scale=-1)
    with pytest.raises(UserError, match="saved without: use prior_scale=0"):
        BeamSearchDecoder(CTCTextEncoder(), prior_scale=0.4)
