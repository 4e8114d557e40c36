"""Words that a text encoder spells alike: against the definition, with every choice enumerated."""

import itertools
from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.decoding.beam_search import BeamSearchDecoder
from src.decoding.ngram_lm import NGramLM
from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError
from tests.decoding.random_arpa import write_random_arpa
from tests.decoding.test_beam_search import every_string

SAID = {"axe": "a", "acts": "a", "ax": "a", "bee": "b", "be": "b", "abbey": "ab", "ba": "ba"}


class Phonetic(CTCTextEncoder):
    """Words of two sounds, several of which sound alike."""

    def __init__(self):
        super().__init__("ab ")

    def spell(self, words):
        return [SAID.get(word, "?") for word in words]


ENCODER = Phonetic()
SPACE = ENCODER.vocab.index(" ")


@pytest.fixture(scope="module")
def arpa(tmp_path_factory):
    return str(write_random_arpa(tmp_path_factory.mktemp("lm") / "random.arpa", list(SAID)))


@pytest.fixture(scope="module")
def lm(arpa):
    return NGramLM.from_arpa(arpa)


def words_of(string):
    """Every sequence of words that sounds like `string`, a tuple of tokens."""
    sounds = "".join(ENCODER.vocab[token] for token in string).split()
    return itertools.product(*([w for w, said in SAID.items() if said == s] for s in sounds))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    frames=st.integers(1, 6),
    alpha=st.floats(0.1, 2),
    beta=st.floats(-2, 3),
    weight=st.floats(0, 3),
)
def test_every_choice_of_words_has_its_score(lm, seed, frames, alpha, beta, weight):
    generator = torch.Generator().manual_seed(seed)
    log_probs = (2 * torch.randn(frames, len(ENCODER), generator=generator)).log_softmax(-1)
    settings = {"alpha": alpha, "beta": beta, "hotwords": {"acts": weight}, "n_best": 10_000}
    decoder = BeamSearchDecoder(
        ENCODER, beam_size=10_000, lm=lm, vocabulary="closed", recombine=False, **settings
    )
    (found,) = decoder(log_probs[None], torch.tensor([frames]))
    expected = {}
    for string, acoustic in every_string(log_probs).items():
        # the search returns the best of the last words that sound alike
        best_end = {}
        for words in words_of(string):
            bonus = beta * len(words) + weight * words.count("acts")
            score = acoustic + alpha * sum(lm.score_sentence(words)) + bonus
            # a space at the end has chosen already
            key = words if string and string[-1] == SPACE else words[:-1]
            if score > best_end.get(key, (-float("inf"),))[0]:
                best_end[key] = (score, words)
        for score, words in best_end.values():
            expected[string, words] = score
    got = {(tuple(h.tokens), tuple(h.text.split())): h.score for h in found}
    assert len(got) == len(found)
    assert got == pytest.approx(expected, abs=1e-3)


def test_recombination_hardly_ever_drops_the_best_words(lm):
    """The beam holds everything, so that nothing else is dropped."""
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(100, 6, len(ENCODER), generator=generator).log_softmax(-1)
    length = torch.full((100,), 6)
    exact, found = (
        BeamSearchDecoder(ENCODER, beam_size=3000, lm=lm, vocabulary="closed", recombine=recombine)(
            log_probs, length
        )
        for recombine in (False, True)
    )
    same = sum(a[0].text == b[0].text for a, b in zip(exact, found))
    assert same >= 95
    assert all(b[0].score <= a[0].score + 1e-9 for a, b in zip(exact, found))


def test_the_language_model_chooses_and_words_carry_the_choice(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(
        "\\data\\\nngram 1=7\nngram 2=4\n\n\\1-grams:\n-1\t<unk>\n-9\t<s>\t-1\n-1\t</s>\n"
        "-1\tax\t-1\n-1.5\tacts\t-1\n-1\tbe\t-1\n-1.5\tbee\t-1\n\n\\2-grams:\n"
        "-0.1\t<s> ax\n-0.1\tax bee\n-0.1\tacts be\n-0.2\t<s> acts\n\n\\end\\\n"
    )
    frames = [0.0] * 5
    log_probs = torch.full((len(frames), len(ENCODER)), log(1e-4))
    for frame, token in enumerate(ENCODER.encode("a b a")):
        log_probs[frame, token] = log(0.99)
    decoder = BeamSearchDecoder(ENCODER, lm=str(path), vocabulary="closed", alpha=1.0, beta=0.0)
    (best,) = decoder(log_probs[None], torch.tensor([5]))[0]
    assert best.text == "ax bee ax"
    assert [word.text for word in best.words] == ["ax", "bee", "ax"]
    assert best.tokens == ENCODER.encode("a b a")


def test_the_tensor_back_end_says_that_it_cannot(arpa):
    with pytest.raises(UserError, match="backend=tensor cannot tell words apart"):
        BeamSearchDecoder(ENCODER, lm=arpa, backend="tensor")
