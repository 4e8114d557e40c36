"""Against `lmplz`'s own files, n-gram by n-gram (fixtures/README.md), and against closed forms."""

from __future__ import annotations

import itertools
import logging
import math
import tempfile
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.decoding.arpa_writer import write_arpa
from src.decoding.kneser_ney import estimate, estimate_discounts
from src.decoding.lm_text import Corpus, read_corpus
from src.utils.errors import UserError

FIXTURES = Path(__file__).parent / "fixtures"


def ngrams_of(arpa: Path) -> dict[str, tuple[float, float]]:
    """n-gram -> log10 probability, log10 back-off."""
    entries = {}
    for line in arpa.read_text().splitlines():
        prob, *rest = line.split("\t")
        if rest:
            entries[rest[0]] = float(prob), float(rest[1]) if len(rest) > 1 else 0.0
    return entries


@pytest.mark.parametrize(
    "text, order, prune, reference",
    [
        ("grammar.txt", 3, [0], "grammar-3gram.arpa"),
        ("grammar.txt", 3, [0, 1, 1], "grammar-3gram-pruned.arpa"),
        ("rhyme.txt", 2, [0], "rhyme-2gram.arpa"),
        ("rhyme.txt", 4, [0, 0, 1], "rhyme-4gram.arpa"),
    ],
)
def test_equals_lmplz(text, order, prune, reference, tmp_path):
    model = estimate(read_corpus([FIXTURES / text]), order, prune)
    write_arpa(model, tmp_path / "lm.arpa")
    assert_same(tmp_path / "lm.arpa", FIXTURES / reference)


def test_limited_vocabulary_equals_lmplz(tmp_path):
    corpus = read_corpus([FIXTURES / "grammar.txt"])
    frequent = np.bincount(corpus.tokens, minlength=len(corpus.words)) >= 3
    write_arpa(estimate(corpus, 3, [0, 0, 1], frequent), tmp_path / "lm.arpa")
    assert_same(tmp_path / "lm.arpa", FIXTURES / "grammar-3gram-limited.arpa")


def assert_same(ours: Path, theirs: Path) -> None:
    found, expected = ngrams_of(ours), ngrams_of(theirs)
    assert found.keys() == expected.keys()
    for ngram, figures in expected.items():
        assert found[ngram] == pytest.approx(figures, abs=1e-5), ngram
    # the counts at the head, which `ngrams_of` passes over
    assert ours.read_text().split("\n\n")[0] == theirs.read_text().split("\n\n")[0]


sentences = st.lists(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=6).map(" ".join),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(sentences, st.integers(2, 4), st.lists(st.integers(0, 3), min_size=1, max_size=2))
def test_probabilities_after_any_history_sum_to_one(lines, order, prune):
    lines = [*lines, "a b c"]  # long enough for 4-grams
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lm.arpa")
        write_arpa(estimate(Corpus.from_lines(lines), order, sorted(prune)), path)
        model = kenlm.Model(str(path))
    known = [word for word in "abcde" if word in model]
    for history in histories(model, lines, order):
        after = kenlm.State()
        scores = [model.BaseScore(history, word, after) for word in [*known, "</s>", "<unk>"]]
        assert math.fsum(10**score for score in scores) == pytest.approx(1, abs=1e-5)


def histories(model: kenlm.Model, lines: list[str], order: int) -> list[kenlm.State]:
    """The model's states after the empty history, after every beginning and inside of `lines`,
    and after pairs of words that may never have met."""
    states = []
    for words in [*(line.split() for line in lines), *itertools.product("abx", repeat=2)]:
        for begin in (model.BeginSentenceWrite, model.NullContextWrite):
            state = kenlm.State()
            begin(state)
            states.append(state)
            for word in words:
                state, before = kenlm.State(), state
                model.BaseScore(before, word, state)
                states.append(state)
    return states


def test_unigram_model_in_closed_form():
    # counts 1, 2, 3, 4 and a sentence end: n1 = 2, n2 = n3 = n4 = 1, so that Y = 1/2
    model = estimate(Corpus.from_lines(["a b b c c c d d d d"]), order=1)
    assert model.discounts[0] == pytest.approx([0, 1 / 2, 1 / 2, 1])
    count = np.array([0, 0, 1, 1, 2, 3, 4])  # <unk> <s> </s> a b c d
    discount = np.array([0, 0, 1 / 2, 1 / 2, 1 / 2, 1, 1])
    expected = (count - discount) / 11 + discount.sum() / 11 / 6
    expected[1] = 1
    assert 10 ** model.orders[0].log10_prob == pytest.approx(expected)


@pytest.mark.parametrize(
    "counts",
    [
        {1: 4, 2: 0, 3: 1, 4: 1},  # nothing occurs twice
        {1: 1, 2: 1, 3: 9, 4: 1},  # D2 = 2 - 3 * 9 / 3 < 0
        {1: 4, 2: 1, 3: 1, 4: 1},  # D2 = 2 - 3 * 2 / 3 = 0
    ],
)
def test_counts_that_give_no_discounts(counts):
    adjusted = [j for j, times in counts.items() for _ in range(times)]
    assert estimate_discounts(np.array(adjusted)) is None


def test_fallback_is_said_and_used(caplog):
    with caplog.at_level(logging.WARNING):
        model = estimate(Corpus.from_lines(["a b", "b a"]), order=2, fallback=[0.25, 0.5, 0.75])
    assert [list(discounts) for discounts in model.discounts] == [[0, 0.25, 0.5, 0.75]] * 2
    assert "D1 D2 D3+ are set to 0.25 0.5 0.75" in caplog.text


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"order": 0}, "order=0"),
        ({"order": 3, "prune": [0, 0, 1, 1]}, "4 pruning thresholds for order 3"),
        ({"order": 3, "prune": []}, "0 pruning thresholds"),
        ({"order": 3, "prune": [0, 2, 1]}, "thresholds 0 2 1"),
        ({"order": 3, "prune": [-1]}, "thresholds -1"),
        ({"order": 5}, "no sentence is long enough for 5-grams"),
        ({"order": 2, "fallback": [0.5, 1, 4]}, "fallback discounts 0.5 1 4"),
        ({"order": 2, "fallback": [0, 1, 2]}, "fallback discounts 0 1 2"),
    ],
)
def test_impossible_demands(arguments, words):
    with pytest.raises(UserError, match=words):
        estimate(Corpus.from_lines(["a b", "b"]), **arguments)
