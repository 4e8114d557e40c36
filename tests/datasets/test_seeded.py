"""A dataset that draws from every generator gives the same items to whoever asks."""

from __future__ import annotations

import random

import numpy as np
import torch

from src.datasets.loader import UninterruptedLoader
from src.datasets.seeded import SeededDataset
from src.utils.random_state import random_state, restore_random_state


class Noise(torch.utils.data.Dataset):
    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return 12

    def __getitem__(self, position):
        return position, random.random(), np.random.rand(), torch.rand(1).item()


def items(workers, epoch=0, start=0):
    dataset = SeededDataset(Noise(), seed=1)
    dataset.set_epoch(epoch)
    assert dataset.dataset.epoch == epoch
    batches = [[n, n + 1] for n in range(start, 12, 2)]
    loader = UninterruptedLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=list,
        generator=torch.Generator(),  # its own, as in `build_loader`
    )
    return [item for batch in loader for item in batch]


def test_any_number_of_workers_and_any_start_give_the_same_items():
    expected = items(workers=0)
    assert items(workers=1) == items(workers=2) == expected
    assert items(workers=1, start=4) == expected[4:]


def test_epochs_and_items_differ_in_every_generator():
    drawn = [item[1:] for epoch in (0, 1) for item in items(0, epoch)]
    for column in zip(*drawn):
        assert len(set(column)) == len(column) == 24


def test_the_main_process_draws_on_as_if_nothing_had_been_fetched():
    before = random_state()
    items(workers=0)
    after = [random.random(), np.random.rand(), torch.rand(1).item()]
    restore_random_state(before)
    assert after == [random.random(), np.random.rand(), torch.rand(1).item()]
