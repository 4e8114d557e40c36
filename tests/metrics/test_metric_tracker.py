"""Weighted means, and that gathering them never reads a tensor's value."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.metrics.metric_tracker import MetricTracker


@given(
    st.lists(
        st.tuples(st.integers(-1000, 1000), st.integers(1, 64), st.booleans()),
        min_size=1,
        max_size=50,
    )
)
def test_weighted_mean_in_exact_arithmetic(updates: list[tuple[int, int, bool]]) -> None:
    tracker = MetricTracker()
    for value, weight, as_tensor in updates:
        tracker.update("loss", torch.tensor(float(value)) if as_tensor else value, weight)
    exact = Fraction(sum(v * w for v, w, _ in updates), sum(w for _, w, _ in updates))
    assert tracker.means() == {"loss": pytest.approx(float(exact), rel=1e-6)}


def test_update_does_not_wait_for_the_device() -> None:
    # A meta tensor has no value: whatever would read one, and so wait for a GPU, raises.
    tracker = MetricTracker()
    for _ in range(3):
        tracker.update("loss", torch.ones((), device="meta"), weight=2)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta tensor"):
        tracker.means()


def test_keeps_no_graph_alive() -> None:
    tracker = MetricTracker()
    parameter = torch.nn.Parameter(torch.ones(()))
    tracker.update("loss", parameter * 2)
    assert not tracker._totals["loss"].requires_grad


def test_mixed_names_come_back_in_order_and_reset_forgets() -> None:
    tracker = MetricTracker()
    tracker.update("rate", 0.5)
    tracker.update("loss", torch.tensor([3], dtype=torch.bfloat16))
    tracker.update("rate", 1.5)
    assert list(tracker.means().items()) == [("rate", 1.0), ("loss", 3.0)]
    tracker.reset()
    assert tracker.means() == {}
    tracker.update("loss", 7.0)
    assert tracker.means() == {"loss": 7.0}


def test_a_nan_is_not_hidden() -> None:
    tracker = MetricTracker()
    tracker.update("loss", 1.0)
    tracker.update("loss", torch.tensor(math.nan))
    assert math.isnan(tracker.means()["loss"])


def test_no_weight_no_mean() -> None:
    tracker = MetricTracker()
    tracker.update("loss", 1.0, weight=0)
    assert tracker.means() == {}
