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


# Several ranks


def shares(durations, world_size, epoch=0, **options):
    samplers = [
        DurationBatchSampler(Durations(durations), seed=3, rank=r, world_size=world_size, **options)
        for r in range(world_size)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in samplers]


@given(
    durations=st.lists(st.floats(0.01, 40.0), min_size=4, max_size=60),
    cap=st.floats(0.5, 100.0),
    size=st.none() | st.integers(1, 8),
    noise=st.floats(0, 0.5),
    epoch=st.integers(0, 5),
    world_size=st.integers(1, 4),
)
def test_training_shares_are_disjoint_complete_and_equal_in_steps(
    durations, cap, size, noise, epoch, world_size
):
    options = {"max_batch_seconds": cap, "max_batch_size": size, "bucket_noise": noise}
    try:
        of_ranks = shares(durations, world_size, epoch, **options)
    except UserError:  # every utterance is a batch, and their number cannot be divided
        [alone] = shares(durations, 1, epoch, **options)
        assert len(durations) % world_size
        assert max(len(batch) for batch in alone) <= world_size
        return
    assert len({len(batches) for batches in of_ranks}) == 1
    heard = [position for batches in of_ranks for batch in batches for position in batch]
    assert sorted(heard) == list(range(len(durations)))
    for batch in (batch for batches in of_ranks for batch in batches):
        assert len(batch) == 1 or len(batch) * max(durations[n] for n in batch) <= cap


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_evaluation_has_the_batches_of_one_rank_on_any_number(world_size):
    durations = speech_like(200).durations
    [alone] = shares(durations, 1, max_batch_seconds=60, shuffle=False)
    of_ranks = shares(durations, world_size, max_batch_seconds=60, shuffle=False)
    for rank, batches in enumerate(of_ranks):
        assert batches == alone[rank::world_size]


def test_ranks_have_similar_work_in_each_step():
    """Within a twentieth of the longest, where batches at random differ threefold."""
    durations = speech_like(2000).durations
    left, right = (
        np.array([max(durations[n] for n in batch) for batch in batches])
        for batches in shares(durations, 2, max_batch_seconds=160)
    )
    apart = np.maximum(left, right) / np.minimum(left, right)
    assert np.median(apart) < 1.05
    at_random = np.maximum(left, np.roll(right, 1)) / np.minimum(left, np.roll(right, 1))
    assert np.median(at_random) > 1.3


def test_fewer_utterances_than_ranks_is_the_users_error():
    with pytest.raises(UserError, match="3 training utterances cannot be shared equally by 4"):
        shares([1.0, 2.0, 3.0], 4, max_batch_seconds=10)


def test_the_position_of_a_resumed_share_is_its_own():
    durations = speech_like(300).durations
    whole = shares(durations, 2, epoch=4, max_batch_seconds=60)[1]
    sampler = DurationBatchSampler(Durations(durations), 60, seed=3, rank=1, world_size=2)
    sampler.load_state_dict({"epoch": 4, "batches": 7})
    assert list(sampler) == whole[7:]
    assert len(sampler) == len(whole)
