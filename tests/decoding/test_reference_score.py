from pathlib import Path

import pytest

from src.decoding.beam_search import BeamSearchDecoder
from src.decoding.ngram_lm import NGramLM
from src.decoding.reference_score import reference_score
from src.decoding.simulate import simulate
from src.text_encoder import CTCTextEncoder

ARPA = Path(__file__).parent / "fixtures" / "grammar-3gram.arpa"
TEXTS = (ARPA.parent / "grammar.txt").read_text().splitlines()[:6]


@pytest.mark.parametrize("noise", [0.1, 0.2])
@pytest.mark.parametrize("vocabulary", ["open", "closed"])
def test_it_is_the_score_that_the_search_gives(noise, vocabulary):
    """Of each reading of an unpruned beam, unknown words among them."""
    encoder, lm = CTCTextEncoder(), NGramLM.from_arpa(ARPA)
    weights = {"lm": lm, "alpha": 0.7, "beta": 0.9, "vocabulary": vocabulary}
    decoder = BeamSearchDecoder(
        text_encoder=encoder, beam_size=200, n_best=5, beam_prune_logp=None, **weights
    )
    unknown = 0
    utterances = simulate(TEXTS, encoder, noise=noise)
    [(log_probs, length, _)] = utterances.batches(len(TEXTS))
    for utterance, n_best in zip(utterances.log_probs, decoder(log_probs, length)):
        for hypothesis in n_best:
            if hypothesis.tokens != encoder.encode(hypothesis.text):
                continue  # two spaces in a row: the same text, another spelling
            unknown += any(word not in lm for word in hypothesis.text.split())
            score = reference_score(hypothesis.text, utterance, encoder, **weights)
            assert score == pytest.approx(hypothesis.score, abs=2e-2)
    assert bool(unknown) == (vocabulary == "open")


def test_what_no_path_spells_is_minus_infinity():
    encoder, lm = CTCTextEncoder(), NGramLM.from_arpa(ARPA)
    [log_probs] = simulate(["hi"], encoder, noise=0.1).log_probs
    text = "a text that is longer than its frames " * 20
    assert reference_score(text, log_probs, encoder, lm, 0.5, 1.5) == float("-inf")
    score = reference_score("hi", log_probs, encoder, lm, 0.5, 1.5)
    assert score > float("-inf") and "hi" not in lm
    closed = reference_score("hi", log_probs, encoder, lm, 0.5, 1.5, vocabulary="closed")
    assert closed == float("-inf")
