from __future__ import annotations

import itertools
import logging

import torch
from hypothesis import given
from hypothesis import strategies as st

from src.datasets.alignable import ctc_frames_needed, drop_unalignable
from src.datasets.base_dataset import BaseDataset

from .test_base_dataset import ids, rows
from .test_collate import Letters


@given(st.lists(st.integers(1, 3), max_size=4))
def test_frames_needed_is_the_shortest_path_that_collapses_to_the_tokens(tokens):
    def collapse(path):
        return [label for label, _ in itertools.groupby(path) if label != 0]

    shortest = next(
        frames
        for frames in itertools.count()
        if any(collapse(path) == tokens for path in itertools.product(range(4), repeat=frames))
    )
    assert ctc_frames_needed(tokens) == shortest


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6))
def test_torch_ctc_loss_is_finite_from_that_many_frames_on(tokens):
    needed = ctc_frames_needed(tokens)

    def loss(frames: int) -> torch.Tensor:
        return torch.nn.functional.ctc_loss(
            torch.zeros(frames, 1, 4).log_softmax(-1),
            torch.tensor([tokens]),
            torch.tensor([frames]),
            torch.tensor([len(tokens)]),
        )

    assert loss(needed).isfinite()
    if needed > 1:
        assert loss(needed - 1).isinf()


def test_unalignable_and_empty_utterances_are_dropped_and_counted(caplog):
    dataset = BaseDataset(rows([0.3, 0.4, 0.4, 1.0, 1.0], ["abc", "abb", "abbb", "", None]))
    with caplog.at_level(logging.INFO):
        drop_unalignable(dataset, Letters(), frames=lambda seconds: round(seconds * 10))
    assert ids(dataset) == ["0", "1"]
    assert "dropped 2 of 5 utterances (0.00 h): empty transcript" in caplog.text
    assert "dropped 1 of 3 utterances (0.00 h): fewer frames than CTC needs" in caplog.text
