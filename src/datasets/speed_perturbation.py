"""Speed perturbation (Ko et al., Interspeech 2015): the same speech faster and slower.

    train = SpeedPerturbedDataset(train, speeds=[0.9, 1.0, 1.1])

It acts here rather than on the device, so that batches are made of the durations that are heard.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import torchaudio
from torch import Tensor

from src.datasets.base_dataset import BaseDataset, Row
from src.utils.errors import UserError


class SpeedPerturbedDataset(BaseDataset):
    """Each utterance of another dataset once an epoch, at one of `speeds`.

    The speed is drawn from (seed, epoch, utterance), so it is the same in every process, and after
    resuming. Kaldi's recipes hear each utterance at every speed in an epoch three times as long;
    over three epochs that is the same on average.

    Args:
        speeds: 1.1 is a tenth faster, and higher in pitch.
        seed: of the draws.
    """

    def __init__(self, dataset: BaseDataset, speeds: Sequence[float], seed: int = 0) -> None:
        check_speeds(speeds)
        self.dataset = dataset
        self.speeds = list(speeds)
        self.seed = seed
        super().__init__(
            self._perturbed(epoch=0),
            sample_rate=dataset.sample_rate,
            name=f"{dataset.name} at speeds {', '.join(map(str, speeds))}",
        )

    def filter(self, keep: Callable[[Row], bool], reason: str) -> None:
        """As in `BaseDataset`; an utterance stays only if it may at every speed."""

        def keep_at_every_speed(row: Row) -> bool:
            return all(keep(_at_speed(row, speed)) for speed in self.speeds)

        self.dataset.filter(keep_at_every_speed, reason)
        self.index = self._perturbed(self.epoch)

    def set_epoch(self, epoch: int) -> None:
        self.dataset.set_epoch(epoch)
        self.index = self._perturbed(epoch)

    def __getitem__(self, position: int) -> dict[str, Any]:
        item = self.dataset[position]
        audio = change_speed(item["audio"], self.drawn[position])
        return {**item, "audio": audio, "duration": len(audio) / self.sample_rate}

    def _perturbed(self, epoch: int) -> list[Row]:
        self.epoch = epoch
        self.drawn = [
            random.Random(f"{self.seed}/{epoch}/{row['utterance_id']}").choice(self.speeds)
            for row in self.dataset.index
        ]
        return [_at_speed(row, speed) for row, speed in zip(self.dataset.index, self.drawn)]


def check_speeds(speeds: Sequence[float]) -> None:
    if not speeds or not all(0.5 <= speed <= 2 for speed in speeds):
        raise UserError(f"speeds={list(speeds)}: use some between 0.5 and 2, or null for none.")


def change_speed(audio: Tensor, speed: float) -> Tensor:
    """audio [S] -> [S / speed]: played `speed` times as fast, tempo and pitch together."""
    return audio if speed == 1 else _resampler(speed)(audio).clamp(-1.0, 1.0)


@cache
def _resampler(speed: float) -> torchaudio.transforms.Resample:
    ratio = Fraction(speed).limit_denominator(100)
    return torchaudio.transforms.Resample(ratio.numerator, ratio.denominator)


def _at_speed(row: Row, speed: float) -> Row:
    return {**row, "duration": row["duration"] / speed}
