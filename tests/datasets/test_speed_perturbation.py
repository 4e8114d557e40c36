import math
from collections import Counter

import pytest
import torch

from src.datasets import BaseDataset, DurationBatchSampler, SyntheticSpeechDataset
from src.datasets.speed_perturbation import SpeedPerturbedDataset, change_speed
from src.utils.errors import UserError
from tests.datasets.conftest import write_tone

SPEEDS = [0.9, 1.0, 1.1]


def corpus(folder, size, seconds=0.5):
    write_tone(folder / "tone.wav", seconds)
    return BaseDataset(
        [
            {
                "utterance_id": f"u{n}",
                "path": str(folder / "tone.wav"),
                "text": "a" * (n + 1),
                "duration": seconds,
                "speaker": "s",
            }
            for n in range(size)
        ]
    )


@pytest.mark.parametrize("speed", [0.9, 1.1, 1.25])
def test_it_is_the_signal_read_at_another_speed(speed):
    """x(t) of three tones becomes x(speed t), from the formula."""

    def tones(time):
        return sum(0.3 * torch.sin(2 * math.pi * hertz * time) for hertz in (200, 1130, 3000))

    out = change_speed(tones(torch.arange(16000) / 16000), speed)
    assert len(out) == math.ceil(16000 / speed)
    middle = slice(1000, len(out) - 1000)  # the filter rings at the ends
    expected = tones(speed * torch.arange(len(out)) / 16000)
    torch.testing.assert_close(out[middle], expected[middle], atol=2e-3, rtol=0)


def test_speeds_are_drawn_evenly_anew_each_epoch_and_the_same_everywhere(tmp_path):
    def drawn(size, epoch, seed=0):
        dataset = SpeedPerturbedDataset(corpus(tmp_path, size), SPEEDS, seed)
        dataset.set_epoch(epoch)
        return dict(zip((row["utterance_id"] for row in dataset.index), dataset.drawn))

    first = drawn(3000, epoch=0)
    for count in Counter(first.values()).values():
        assert count == pytest.approx(1000, abs=100)  # 4 standard deviations
    other = [drawn(3000, epoch=1), drawn(3000, epoch=0, seed=1)]
    for speeds in other:
        same = sum(first[name] == speeds[name] for name in first)
        assert same == pytest.approx(1000, abs=100)
    assert drawn(10, epoch=0).items() <= first.items()  # whatever else is in the corpus


def test_batches_are_made_of_what_is_heard(tmp_path):
    dataset = SpeedPerturbedDataset(corpus(tmp_path, 30), SPEEDS)
    for epoch in range(2):
        dataset.set_epoch(epoch)
        for position, announced in enumerate(dataset.durations):
            item = dataset[position]
            assert len(item["audio"]) == pytest.approx(16000 * announced, abs=1)
            assert item["duration"] == pytest.approx(announced, abs=1e-4)
            assert announced == pytest.approx(0.5 / dataset.drawn[position])
        sampler = DurationBatchSampler(dataset, max_batch_seconds=3, shuffle=False)
        first = next(iter(sampler))
        assert {dataset.drawn[position] for position in first} == {0.9}


def test_a_filter_holds_at_every_speed(tmp_path):
    dataset = SpeedPerturbedDataset(corpus(tmp_path, 10), SPEEDS)
    dataset.filter(lambda row: len(row["text"]) <= 10 * row["duration"], "too many letters")
    assert len(dataset) == 4  # 0.5 s / 1.1 has room for 4.5 letters
    assert len(dataset) == len(dataset.texts) == len(dataset.drawn)


def test_speech_that_is_new_in_each_epoch_stays_so():
    dataset = SpeedPerturbedDataset(SyntheticSpeechDataset("train", size=3), SPEEDS)
    seen = set()
    for epoch in range(2):
        dataset.set_epoch(epoch)
        for position, announced in enumerate(dataset.durations):
            item = dataset[position]
            seen.add(item["utterance_id"])
            assert item["duration"] == pytest.approx(announced, rel=0.25)  # an estimate
    assert len(seen) == 6


@pytest.mark.parametrize("speeds", [[], [0.1, 1.0], [110]])
def test_impossible_speeds_are_one_sentence(tmp_path, speeds):
    with pytest.raises(UserError, match="speeds="):
        SpeedPerturbedDataset(corpus(tmp_path, 1), speeds)
