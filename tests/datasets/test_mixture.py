from collections import Counter
from itertools import chain

import pytest
import torch

from src.datasets import (
    BaseDataset,
    DurationBatchSampler,
    MixtureDataset,
    SpeedPerturbedDataset,
    SyntheticSpeechDataset,
)
from src.utils.errors import UserError
from tests.datasets.conftest import write_tone


def corpus(folder, name, size, hertz=440, rate=16000):
    file = folder / f"{name}.wav"
    write_tone(file, 0.5, hertz=hertz)
    rows = [
        {"utterance_id": f"{name}{n}", "path": str(file), "text": f"{name} {'a' * n}"}
        for n in range(size)
    ]
    rows = [{**row, "duration": 0.5, "speaker": name} for row in rows]
    return BaseDataset(rows, sample_rate=rate)


def heard(dataset, epoch):
    dataset.set_epoch(epoch)
    return [row["utterance_id"] for row in dataset.index]


def test_every_utterance_of_every_part_once_with_the_audio_of_its_row(tmp_path):
    a, b = corpus(tmp_path, "a", 3), corpus(tmp_path, "b", 2, hertz=880)
    dataset = MixtureDataset({"first": a, "second": b})
    assert heard(dataset, 0) == heard(dataset, 5) == ["a0", "a1", "a2", "b0", "b1"]
    for position, part, place in [(0, a, 0), (2, a, 2), (3, b, 0), (4, b, 1)]:
        assert dataset[position]["utterance_id"] == dataset.index[position]["utterance_id"]
        torch.testing.assert_close(dataset[position]["audio"], part[place]["audio"])
    assert len(dataset.durations) == 5


def test_a_share_is_drawn_anew_each_epoch_and_evenly(tmp_path):
    parts = {"a": corpus(tmp_path, "a", 20), "b": corpus(tmp_path, "b", 10)}
    dataset = MixtureDataset(parts, shares={"a": 0.25})
    count = Counter()
    for epoch in range(400):
        names = heard(dataset, epoch)
        assert len(set(names)) == len(names) == 15
        assert sum(name[0] == "a" for name in names) == 5
        count.update(names)
    assert all(count[f"b{n}"] == 400 for n in range(10))
    assert all(count[f"a{n}"] == pytest.approx(100, abs=40) for n in range(20))
    again = MixtureDataset(parts, shares={"a": 0.25})
    assert heard(again, 7) == heard(dataset, 7) != heard(dataset, 8)
    assert heard(MixtureDataset(parts, {"a": 0.25}, seed=1), 7) != heard(dataset, 7)


def test_texts_are_of_all_parts_whatever_the_share(tmp_path):
    dataset = MixtureDataset({"a": corpus(tmp_path, "a", 4)}, shares={"a": 0.25})
    assert len(dataset) == 1
    assert dataset.texts == ["a ", "a a", "a aa", "a aaa"]


def test_filters_reach_the_parts_in_every_epoch(tmp_path):
    parts = {"a": corpus(tmp_path, "a", 8), "spoken": SyntheticSpeechDataset("train", 20)}
    dataset = SpeedPerturbedDataset(MixtureDataset(parts, {"a": 0.5}), [0.9, 1.1])
    dataset.filter(lambda row: len(row["text"]) % 2 == 0, "odd")
    for epoch in range(3):
        dataset.set_epoch(epoch)
        assert {row["speaker"] == "a" for row in dataset.index} == {True, False}
        assert all(len(row["text"]) % 2 == 0 for row in dataset.index)
        assert all(
            dataset[position]["text"] == dataset.index[position]["text"]
            for position in range(len(dataset))
        )
    batches = list(DurationBatchSampler(dataset, max_batch_seconds=10))
    assert sorted(chain.from_iterable(batches)) == list(range(len(dataset)))


@pytest.mark.parametrize(
    ("parts", "shares", "message"),
    [
        ({}, {}, "name its parts"),
        ({"a": None}, {}, "name its parts"),
        ({"a": 2}, {"b": 0.5}, "'b', which is no part: there are a"),
        ({"a": 2}, {"a": 0}, r"share 0 of a: use one in \(0, 1\]"),
        ({"a": 2}, {"a": 1.5}, r"share 1.5 of a"),
        ({"a": 2, "b": 8000}, {}, "several sample rates: 16000, 8000 Hz|8000, 16000 Hz"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, parts, shares, message):
    made = {
        name: size and corpus(tmp_path, name, 2, rate=8000 if size == 8000 else 16000)
        for name, size in parts.items()
    }
    with pytest.raises(UserError, match=message):
        MixtureDataset(made, shares)


def test_an_utterance_in_two_parts_is_named(tmp_path):
    with pytest.raises(UserError, match="a0 is in one and in two"):
        MixtureDataset({"one": corpus(tmp_path, "a", 2), "two": corpus(tmp_path, "a", 3)})
