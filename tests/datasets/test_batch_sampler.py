from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from src.datasets.batch_sampler import DurationBatchSampler
from src.utils.errors import UserError


class Durations:
    """A dataset whose items are their positions."""

    def __init__(self, durations: list[float]) -> None:
        self.durations = durations

    def __len__(self) -> int:
        return len(self.durations)

    def __getitem__(self, position: int) -> int:
        return position


def speech_like(count: int, seed: int = 0) -> Durations:
    durations = np.random.default_rng(seed).lognormal(2.3, 0.5, count).clip(1.0, 35.0)
    return Durations(durations.tolist())


sampler_cases = {
    "durations": st.lists(st.floats(0.01, 40.0), min_size=1, max_size=60),
    "cap": st.floats(0.5, 100.0),
    "size": st.none() | st.integers(1, 8),
    "shuffle": st.booleans(),
    "noise": st.floats(0, 0.5),
    "epoch": st.integers(0, 5),
}


@given(**sampler_cases)
def test_each_utterance_once_and_no_batch_above_the_cap(
    durations, cap, size, shuffle, noise, epoch
):
    sampler = DurationBatchSampler(
        Durations(durations), cap, size, shuffle=shuffle, seed=3, bucket_noise=noise
    )
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(position for batch in batches for position in batch) == list(
        range(len(durations))
    )
    assert len(batches) == len(sampler)
    assert batches == list(sampler)
    for batch in batches:
        longest = max(durations[position] for position in batch)
        assert len(batch) == 1 or longest * len(batch) <= cap
        assert size is None or len(batch) <= size


@given(**sampler_cases, done=st.integers(0, 60))
def test_a_resumed_sampler_yields_exactly_the_rest(
    durations, cap, size, shuffle, noise, epoch, done
):
    def sampler():
        return DurationBatchSampler(Durations(durations), cap, size, shuffle, 3, noise)

    first = sampler()
    first.set_epoch(epoch)
    whole = list(first)
    first.batches_done = done

    resumed = sampler()
    resumed.load_state_dict(first.state_dict())
    resumed.set_epoch(epoch)  # as a training loop does at the head of each epoch
    assert list(resumed) == whole[done:]
    assert len(resumed) == len(whole)

    resumed.set_epoch(epoch + 1)
    first.set_epoch(epoch + 1)
    assert list(resumed) == list(first)
    assert len(resumed) == len(list(resumed))


def test_longest_first_without_shuffle_and_batches_are_full():
    dataset = speech_like(500)
    batches = list(DurationBatchSampler(dataset, 160, shuffle=False))
    flat = [dataset.durations[position] for batch in batches for position in batch]
    assert flat == sorted(flat, reverse=True)
    for batch in batches[:-1]:
        longest = dataset.durations[batch[0]]
        assert longest * (len(batch) + 1) > 160


def test_epochs_and_seeds_differ_in_batches_and_in_their_order():
    def batches(seed, epoch):
        sampler = DurationBatchSampler(speech_like(500), 100, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    runs = [batches(0, 0), batches(0, 1), batches(1, 0), batches(1, 1)]
    composition = [{frozenset(batch) for batch in run} for run in runs]
    for i in range(4):
        for j in range(i):
            shared = len(composition[i] & composition[j])
            assert shared < 0.1 * len(composition[i])
    means = [np.mean([speech_like(500).durations[n] for n in batch]) for batch in runs[0]]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.4


@pytest.mark.parametrize("max_batch_seconds", [80, 160, 320])
def test_at_least_90_per_cent_of_a_batch_is_speech(max_batch_seconds):
    dataset = speech_like(5000)
    padded = sum(
        len(batch) * max(dataset.durations[position] for position in batch)
        for batch in DurationBatchSampler(dataset, max_batch_seconds)
    )
    assert sum(dataset.durations) / padded >= 0.9


def test_too_long_utterances_are_counted(caplog):
    with caplog.at_level(logging.WARNING):
        sampler = DurationBatchSampler(Durations([5.0, 50.0, 60.0, 4.0]), 10)
    assert "2 utterances are longer than max_batch_seconds=10" in caplog.text
    assert sorted(map(sorted, sampler)) == [[0, 3], [1], [2]]


def test_durations_are_read_anew_in_each_epoch():
    dataset = Durations([1.0] * 10)
    sampler = DurationBatchSampler(dataset, 10)
    assert len(list(sampler)) == 1
    dataset.durations = [5.0] * 10
    assert len(sampler) == len(list(sampler)) == 5


def test_a_prefetching_loader_resumes_where_the_loop_was():
    def loader(sampler):
        return DataLoader(
            dataset, batch_sampler=sampler, num_workers=2, prefetch_factor=4, collate_fn=list
        )

    dataset = speech_like(60)
    whole = list(DurationBatchSampler(dataset, 30))
    sampler = DurationBatchSampler(dataset, 30)
    for done, batch in enumerate(loader(sampler), start=1):
        assert batch == whole[done - 1]
        if done == 5:
            break
    sampler.batches_done = 5
    resumed = DurationBatchSampler(dataset, 30)
    resumed.load_state_dict(sampler.state_dict())
    assert list(loader(resumed)) == whole[5:]


def test_bad_options_are_the_users_error():
    for options, word in [
        ({"max_batch_seconds": 0}, "max_batch_seconds"),
        ({"max_batch_seconds": 9, "max_batch_size": 0}, "max_batch_size"),
        ({"max_batch_seconds": 9, "bucket_noise": 1.0}, "bucket_noise"),
    ]:
        with pytest.raises(UserError, match=word):
            DurationBatchSampler(Durations([1.0]), **options)
