"""Batches of similar duration under a cap on padded audio, for `DataLoader(batch_sampler=...)`.

sampler = DurationBatchSampler(dataset, max_batch_seconds=320)
loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=Collate(text_encoder))
for epoch in range(epochs):
    sampler.set_epoch(epoch)
    for batch in loader: ...
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from src.utils.errors import UserError

logger = logging.getLogger(__name__)


class HasDurations(Protocol):
    """A dataset that knows the seconds of each item."""

    @property
    def durations(self) -> list[float]: ...


class DurationBatchSampler:
    """Every utterance once per epoch, in batches with longest × size <= `max_batch_seconds`.

    Shuffled, utterances are sorted by a duration that is jittered anew for each (seed, epoch),
    cut into batches, and the batches are shuffled; unshuffled, they come longest first, so that
    a batch too big for the memory shows at once. An utterance above the cap is its own batch.

    To resume, save `state_dict()` and `load_state_dict` it: iteration then starts after the
    batches that were done. A DataLoader fetches ahead of the training loop, so the sampler
    cannot know how many those are: the loop sets `batches_done` (or the key `batches`).

    Of `world_size` ranks each gets its own share of the batches. Shuffled, all get equally many,
    and what the ranks do at the same time is of similar duration, so that none waits for
    another: for this some batches may be halved. Unshuffled, the batches are the same for any
    number of ranks, and some ranks get one fewer.

    Args:
        dataset: asked for `durations` (seconds) as each epoch starts.
        max_batch_seconds: cap on padded audio in a batch.
        max_batch_size: cap on utterances in a batch.
        shuffle: False for evaluation.
        seed: of the shuffle, together with the epoch.
        bucket_noise: durations are jittered by up to this share; more noise mixes batches
            better and pads more.
        rank, world_size: whose share, of how many.
    """

    def __init__(
        self,
        dataset: HasDurations,
        max_batch_seconds: float,
        max_batch_size: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        bucket_noise: float = 0.05,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if max_batch_seconds <= 0:
            raise UserError(f"max_batch_seconds={max_batch_seconds}: use a positive number.")
        if max_batch_size is not None and max_batch_size < 1:
            raise UserError(f"max_batch_size={max_batch_size}: use 1 or more, or null for no cap.")
        if not 0 <= bucket_noise < 1:
            raise UserError(f"bucket_noise={bucket_noise}: use a share in [0, 1).")
        self.dataset = dataset
        self.max_batch_seconds = max_batch_seconds
        self.max_batch_size = max_batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.bucket_noise = bucket_noise
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.batches_done = 0

        too_long = sum(duration > max_batch_seconds for duration in dataset.durations)
        if too_long:
            logger.warning(
                "%d utterances are longer than max_batch_seconds=%g; each is a batch of its own",
                too_long,
                max_batch_seconds,
            )

    def set_epoch(self, epoch: int) -> None:
        """Another epoch starts at its first batch; the current one keeps `batches_done`."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches_done = 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "batches": self.batches_done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch = state["epoch"]
        self.batches_done = state["batches"]

    def __len__(self) -> int:
        """Batches of this rank in the whole epoch, those done included."""
        return len(self._share())

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._share()[self.batches_done :]

    def _share(self) -> list[list[int]]:
        return self._plan()[self.rank :: self.world_size]

    def _plan(self) -> list[list[int]]:
        """The batches of all ranks; those at i * world_size + rank are a rank's."""
        durations = np.asarray(self.dataset.durations)
        if not self.shuffle:
            return self._cut(np.argsort(-durations, kind="stable"), durations)
        rng = np.random.default_rng([self.seed, self.epoch])
        jitter = rng.uniform(1 - self.bucket_noise, 1 + self.bucket_noise, len(durations))
        # Equal durations must not keep the order of the index, even without noise.
        order = np.lexsort((rng.random(len(durations)), durations * jitter))
        batches = self._divisible(self._cut(order, durations))
        steps = np.arange(len(batches)).reshape(-1, self.world_size)
        return [batches[position] for position in rng.permutation(steps).ravel()]

    def _cut(self, order: np.ndarray, durations: np.ndarray) -> list[list[int]]:
        batches: list[list[int]] = []
        longest = 0.0
        for position in order.tolist():
            grown = max(longest, durations[position])
            if batches and self._fits(len(batches[-1]) + 1, grown):
                batches[-1].append(position)
                longest = grown
            else:
                batches.append([position])
                longest = durations[position]
        return batches

    def _divisible(self, batches: list[list[int]]) -> list[list[int]]:
        """Halves the batches of most utterances until each rank can have equally many."""
        while len(batches) % self.world_size:
            fullest = max(range(len(batches)), key=lambda position: len(batches[position]))
            utterances = batches[fullest]
            if len(utterances) == 1:
                raise UserError(
                    f"{len(batches)} training utterances cannot be shared equally by "
                    f"{self.world_size} processes; start fewer, or raise "
                    f"max_batch_seconds={self.max_batch_seconds:g}"
                )
            middle = len(utterances) // 2
            batches[fullest : fullest + 1] = [utterances[:middle], utterances[middle:]]
        return batches

    def _fits(self, size: int, longest: float) -> bool:
        within_size = self.max_batch_size is None or size <= self.max_batch_size
        return within_size and size * longest <= self.max_batch_seconds
