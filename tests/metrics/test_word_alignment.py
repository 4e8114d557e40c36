"""Aligned words against the counts and the texts they came from."""

from __future__ import annotations

import random
from collections import Counter

from src.metrics import align_words, word_errors


def test_known_case() -> None:
    assert align_words("the cat sat", "a the hat") == [
        ("I", "", "a"),
        ("=", "the", "the"),
        ("S", "cat", "hat"),
        ("D", "sat", ""),
    ]


def test_gives_back_both_texts_and_the_counts_of_word_errors() -> None:
    rng = random.Random(0)
    for _ in range(200):
        reference, hypothesis = (" ".join(rng.choices("abcd", k=rng.randrange(8))) for _ in "ab")
        aligned = align_words(reference, hypothesis)
        counts = Counter(word.edit for word in aligned)
        expected = word_errors(reference, hypothesis)
        assert " ".join(word.reference for word in aligned if word.reference) == reference
        assert " ".join(word.hypothesis for word in aligned if word.hypothesis) == hypothesis
        assert (counts["S"], counts["D"], counts["I"], counts["="]) == (
            expected.substitutions,
            expected.deletions,
            expected.insertions,
            expected.hits,
        )
        assert all((word.edit == "=") == (word.reference == word.hypothesis) for word in aligned)
