"""The p-value against all resamples there are, the normal approximation, and the null."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from src.metrics import paired_bootstrap


def test_agrees_with_all_resamples_of_a_small_corpus() -> None:
    a, b, lengths = np.array([3, 1, 2, 4]), np.array([2, 2, 0, 3]), np.array([10, 5, 7, 8])
    differences = np.array(
        [
            (b - a)[list(drawn)].sum() / lengths[list(drawn)].sum()
            for drawn in product(range(4), repeat=4)
        ]
    )
    result = paired_bootstrap(a, b, lengths, level=0.8, resamples=40_000)

    assert result.difference == pytest.approx(-3 / 30)
    exact = 2 * min((differences <= 0).mean(), (differences >= 0).mean())
    assert result.p_value == pytest.approx(exact, abs=0.01)
    assert result.interval == pytest.approx(np.quantile(differences, [0.1, 0.9]), abs=0.01)


@pytest.mark.parametrize("gain", [0.0, 0.004, 0.008])
def test_agrees_with_the_normal_approximation(gain: float) -> None:
    generator = np.random.default_rng(4)
    lengths = generator.integers(5, 40, size=2000)
    a = generator.binomial(lengths, 0.10)
    b = generator.binomial(lengths, 0.10 - gain)
    result = paired_bootstrap(a, b, lengths)

    difference = (b - a).sum() / lengths.sum()
    error = np.sqrt((((b - a) - difference * lengths) ** 2).sum()) / lengths.sum()
    assert result.difference == pytest.approx(difference)
    assert result.p_value == pytest.approx(
        math.erfc(abs(difference) / error / math.sqrt(2)), abs=0.02
    )
    assert result.interval == pytest.approx(
        (difference - 1.96 * error, difference + 1.96 * error), abs=0.1 * error
    )


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    generator = np.random.default_rng(5)
    p_values = []
    for trial in range(400):
        lengths = generator.integers(5, 30, size=120)
        difficulty = generator.beta(2, 12, size=120)  # shared: the systems err on the same ones
        a, b = generator.binomial(lengths, difficulty), generator.binomial(lengths, difficulty)
        p_values.append(paired_bootstrap(a, b, lengths, resamples=500, seed=trial).p_value)
    # Kolmogorov's bound for 400 draws, a chance of 1 in 1000 to be beyond it, is 0.097.
    p_values.sort()
    assert np.abs(p_values - (np.arange(400) + 0.5) / 400).max() < 0.097
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.035)


def test_pairing_sees_what_two_intervals_do_not() -> None:
    generator = np.random.default_rng(6)
    lengths = np.full(300, 20)
    a = generator.binomial(lengths, generator.beta(1, 5, size=300))
    b = np.maximum(a - generator.binomial(1, 0.15, size=300), 0)  # better by a word now and then
    assert paired_bootstrap(a, b, lengths).p_value < 0.001
    assert paired_bootstrap(a, generator.permutation(b), lengths).p_value > 0.05


def test_equal_systems_and_no_utterances_prove_nothing() -> None:
    assert paired_bootstrap([1, 2, 0], [1, 2, 0], [5, 5, 5]).p_value == 1.0
    assert paired_bootstrap([], [], []).p_value == 1.0


def test_the_second_system_may_be_the_better_or_the_worse() -> None:
    a, b, lengths = [2] * 30 + [1], [1] * 30 + [1], [10] * 31
    better, worse = paired_bootstrap(a, b, lengths), paired_bootstrap(b, a, lengths)
    assert better.difference == -worse.difference < 0
    assert better.p_value == worse.p_value == pytest.approx(2 / 10_001)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="each utterance"):
        paired_bootstrap([1, 2], [1], [5, 5])
