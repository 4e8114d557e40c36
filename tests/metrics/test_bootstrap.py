"""The interval against the delta method's normal approximation, and its coverage."""

from __future__ import annotations

import numpy as np
import pytest

from src.metrics.bootstrap import bootstrap_interval


@pytest.mark.parametrize(("level", "deviations"), [(0.95, 1.960), (0.80, 1.282)])
def test_agrees_with_the_normal_approximation(level: float, deviations: float) -> None:
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, 40, size=3000)
    edits = generator.binomial(lengths, generator.beta(2, 8, size=3000))
    rate = edits.sum() / lengths.sum()
    # Standard error of a ratio of sums, linearised.
    error = np.sqrt(((edits - rate * lengths) ** 2).sum()) / lengths.sum()

    low, high = bootstrap_interval(edits, lengths, level=level, resamples=4000)

    assert low == pytest.approx(rate - deviations * error, abs=0.12 * error)
    assert high == pytest.approx(rate + deviations * error, abs=0.12 * error)


def test_covers_the_true_rate_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for trial in range(300):
        lengths = generator.integers(5, 30, size=150)
        low, high = bootstrap_interval(
            generator.binomial(lengths, 0.2), lengths, level=0.9, resamples=200, seed=trial
        )
        covered += low <= 0.2 <= high
    # 300 draws at 0.9: five standard deviations are 0.087.
    assert covered / 300 == pytest.approx(0.9, abs=0.087)


def test_same_seed_same_interval_other_seed_another() -> None:
    generator = np.random.default_rng(3)
    edits, lengths = generator.integers(0, 5, size=100), np.full(100, 10)
    first = bootstrap_interval(edits, lengths, seed=7)
    assert bootstrap_interval(edits, lengths, seed=7) == first
    assert bootstrap_interval(edits, lengths, seed=8) != first


def test_equal_utterances_leave_no_doubt() -> None:
    assert bootstrap_interval([2] * 50, [8] * 50) == (0.25, 0.25)


def test_empty_input_and_empty_references() -> None:
    assert bootstrap_interval([], []) == (0.0, 0.0)
    assert bootstrap_interval([1, 0], [0, 0])[0] == 0.0
