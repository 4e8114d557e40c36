from __future__ import annotations

import logging

import pytest
import torch

from src.datasets.base_dataset import BaseDataset
from src.utils.audio import read_audio
from src.utils.errors import UserError

from .conftest import write_tone


def rows(durations: list[float], texts: list[str | None] | None = None) -> list[dict]:
    texts = texts or ["a"] * len(durations)
    return [
        {"utterance_id": str(n), "path": f"{n}.wav", "text": text, "duration": seconds,
         "speaker": ""}
        for n, (seconds, text) in enumerate(zip(durations, texts))
    ]  # fmt: skip


def ids(dataset: BaseDataset) -> list[str]:
    return [row["utterance_id"] for row in dataset.index]


def test_limits_are_inclusive_and_what_they_drop_is_logged(caplog):
    index = rows([0.5, 1.0, 5.0, 9.0, 1800.0], ["a", "ab", "abc", "abcdef", "a"])
    with caplog.at_level(logging.INFO):
        dataset = BaseDataset(
            index, min_duration=1.0, max_duration=9.0, max_text_length=3, name="tiny"
        )
    assert ids(dataset) == ["1", "2"]
    assert [record.getMessage() for record in caplog.records] == [
        "tiny: dropped 1 of 5 utterances (0.00 h): shorter than 1.0 s",
        "tiny: dropped 1 of 4 utterances (0.50 h): longer than 9.0 s",
        "tiny: dropped 1 of 3 utterances (0.00 h): text longer than 3 characters",
        "tiny: 2 utterances, 0.00 h",
    ]


def test_limit_comes_after_the_filters_and_the_shuffle():
    index = rows([float(n) for n in range(1, 101)])
    assert ids(BaseDataset(index, limit=3)) == ["0", "1", "2"]
    assert ids(BaseDataset(index, min_duration=11, limit=3)) == ["10", "11", "12"]
    shuffled = BaseDataset(index, shuffle_index=True, seed=1)
    assert sorted(ids(shuffled), key=int) == ids(BaseDataset(index))
    assert ids(shuffled) != ids(BaseDataset(index))
    assert ids(BaseDataset(index, shuffle_index=True, seed=1, limit=3)) == ids(shuffled)[:3]
    assert ids(BaseDataset(index, shuffle_index=True, seed=2)) != ids(shuffled)


def test_nothing_left_is_the_users_error():
    with pytest.raises(UserError, match="BaseDataset is empty"):
        BaseDataset([])
    with pytest.raises(UserError, match="longer than 1 s"):
        BaseDataset(rows([2.0, 3.0]), max_duration=1)
    with pytest.raises(UserError, match="limit=0"):
        BaseDataset(rows([2.0]), limit=0)


def test_item_is_the_row_with_its_audio(tmp_path):
    path = tmp_path / "a.flac"
    write_tone(path, seconds=0.5, rate=8000)
    row = {**rows([0.5])[0], "path": str(path)}
    item = BaseDataset([row], sample_rate=16000)[0]
    torch.testing.assert_close(item.pop("audio"), read_audio(path, 16000))
    assert item == row


def test_durations_and_texts():
    dataset = BaseDataset(rows([1.0, 2.0, 3.0], ["a", None, ""]))
    assert dataset.durations == [1.0, 2.0, 3.0]
    assert dataset.texts == ["a", ""]


def test_speech_too_fast_or_too_slow_for_its_transcript_is_dropped():
    index = rows([2.0, 2.0, 2.0, 2.0], ["a" * 9, "a" * 10, "a" * 50, "a" * 51])
    dataset = BaseDataset(index, min_characters_per_second=5, max_characters_per_second=25)
    assert ids(dataset) == ["1", "2"]
