"""Utterances that CTC cannot align are found before training, not as infinite losses in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from src.datasets.base_dataset import BaseDataset, Row
from src.datasets.collate import TextEncoder


def ctc_frames_needed(tokens: Sequence[int]) -> int:
    """Frames of the shortest CTC path: one per token and a blank between equal neighbours
    (Graves et al. 2006, section 3.1)."""
    return len(tokens) + sum(left == right for left, right in pairwise(tokens))


def drop_unalignable(
    dataset: BaseDataset, text_encoder: TextEncoder, frames: Callable[[float], int]
) -> None:
    """Drops, and counts in the log, utterances with an empty transcript or too few frames.

    Args:
        frames: seconds of audio -> frames that the model puts out for them.
    """

    def needed(row: Row) -> int:
        return ctc_frames_needed(text_encoder.encode(row["text"] or ""))

    dataset.filter(lambda row: needed(row) > 0, "empty transcript")
    dataset.filter(
        lambda row: frames(row["duration"]) >= needed(row),
        "fewer frames than CTC needs for the transcript",
    )
