"""Items whose random numbers do not depend on who fetches them, or when."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info


class SeededDataset(Dataset):
    """`dataset`, each of whose items finds python's, numpy's and torch's generators seeded by
    (seed, epoch, position).

    A dataset may then augment as it likes: with any number of workers, and resumed in the middle
    of an epoch, it gives the same items. A worker's own generators could do neither, since their
    state is lost with the worker.
    """

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.dataset.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Any:
        with _seeded([self.seed, self.epoch, position]):
            return self.dataset[position]


@contextmanager
def _seeded(entropy: list[int]) -> Iterator[None]:
    # the main process draws dropout and SpecAugment from the same generators
    in_main = get_worker_info() is None
    if in_main:
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    numbers = np.random.SeedSequence(entropy).generate_state(3).tolist()
    random.seed(numbers[0])
    np.random.seed(numbers[1])
    torch.default_generator.manual_seed(numbers[2])
    yield
    if in_main:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
