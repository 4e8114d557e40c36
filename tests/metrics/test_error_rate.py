"""Edit counts against an edit distance written out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.metrics.error_rate import ErrorCounts, character_errors, word_errors

SENTENCES = st.lists(st.sampled_from(["a", "b", "ab", "it's"]), max_size=6).map(" ".join)


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """The recurrence of Levenshtein's definition, by plain recursion."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]),
        )

    return distance(len(a), len(b))


@given(SENTENCES, SENTENCES)
def test_word_errors_are_the_edit_distance(reference: str, hypothesis: str) -> None:
    counts = word_errors(reference, hypothesis)
    assert counts.errors == edit_distance(reference.split(), hypothesis.split())
    # Which minimal alignment is chosen is free, but it must cover both sides exactly.
    assert counts.reference_length == len(reference.split())
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis.split())
    assert counts.utterances == 1


@given(SENTENCES, SENTENCES)
def test_character_errors_are_the_edit_distance(reference: str, hypothesis: str) -> None:
    counts = character_errors(reference, hypothesis)
    assert counts.errors == edit_distance(reference, hypothesis)
    assert counts.reference_length == len(reference)
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis)


@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=8))
def test_sum_of_counts_is_jiwers_corpus_rate(pairs: list[tuple[str, str]]) -> None:
    total = sum((word_errors(*pair) for pair in pairs), start=ErrorCounts())
    assert total.utterances == len(pairs)
    assert total.rate == pytest.approx(jiwer.wer(*map(list, zip(*pairs))))


def test_known_alignment() -> None:
    assert word_errors("the cat sat on the mat", "the bat sat the mat now") == ErrorCounts(
        substitutions=1, deletions=1, insertions=1, hits=4, utterances=1
    )


def test_a_space_is_a_character() -> None:
    assert character_errors("a b", "ab") == ErrorCounts(deletions=1, hits=2, utterances=1)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "word_rate", "character_rate"),
    [
        ("", "", 0.0, 0.0),
        ("", "a b", 2.0, 3.0),  # no reference to divide by: the insertions
        ("a b", "", 1.0, 1.0),
        ("a", "b c d", 3.0, 5.0),
    ],
)
def test_rates_at_the_edges(
    reference: str, hypothesis: str, word_rate: float, character_rate: float
) -> None:
    assert word_errors(reference, hypothesis).rate == word_rate
    assert character_errors(reference, hypothesis).rate == character_rate


def test_silence_read_as_words_counts_in_the_corpus() -> None:
    total = word_errors("a b c d", "a b c d") + word_errors("", "um")
    assert total.rate == 0.25
