"""Several corpora as one, each with its share of an epoch.

MixtureDataset({"read": librispeech, "spoken": synthetic}, shares={"spoken": 0.5})
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from src.datasets.base_dataset import BaseDataset, Row
from src.utils.errors import UserError


class MixtureDataset(BaseDataset):
    """The utterances of `parts`, one part after the other; a batch sampler mixes them.

    Args:
        parts: corpora by name.
        shares: part of a corpus that an epoch hears, in (0, 1], drawn anew for each (seed, epoch,
            corpus); 1 where none is given.
        seed: of the draws.

    Raises:
        UserError: no part, a share of no such part, a share outside (0, 1], parts of several
            sample rates, an utterance id that occurs in two parts.
    """

    def __init__(
        self,
        parts: Mapping[str, BaseDataset],
        shares: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.parts = {str(name): part for name, part in parts.items() if part is not None}
        self.shares = dict(shares or {})
        self.seed = seed
        self._check()
        super().__init__(
            self._draw(epoch=0),
            sample_rate=next(iter(self.parts.values())).sample_rate,
            name=f"mixture of {', '.join(self.parts)}",
        )

    def filter(self, keep: Callable[[Row], bool], reason: str) -> None:
        """As in `BaseDataset`, part by part."""
        for part in self.parts.values():
            part.filter(keep, reason)
        self.index = self._draw(self.epoch)

    @property
    def texts(self) -> list[str]:
        """Transcripts of all parts, whatever their shares."""
        return [text for part in self.parts.values() for text in part.texts]

    def set_epoch(self, epoch: int) -> None:
        for part in self.parts.values():
            part.set_epoch(epoch)
        self.index = self._draw(epoch)

    def __getitem__(self, position: int) -> dict[str, Any]:
        name, place = self._places[position]
        return self.parts[name][place]

    def _draw(self, epoch: int) -> list[Row]:
        self.epoch = epoch
        self._places = [
            (name, place)
            for name, part in self.parts.items()
            for place in self._positions(name, len(part), epoch)
        ]
        return [self.parts[name].index[place] for name, place in self._places]

    def _positions(self, name: str, size: int, epoch: int) -> list[int]:
        share = self.shares.get(name, 1)
        if share == 1:
            return list(range(size))
        rng = random.Random(f"{self.seed}/{name}/{epoch}")
        return sorted(rng.sample(range(size), max(1, round(share * size))))

    def _check(self) -> None:
        if not self.parts:
            raise UserError("a mixture of nothing: name its parts.")
        if unknown := self.shares.keys() - self.parts.keys():
            raise UserError(
                f"a share of {min(unknown)!r}, which is no part: there are {', '.join(self.parts)}."
            )
        for name, share in self.shares.items():
            if not 0 < share <= 1:
                raise UserError(f"share {share} of {name}: use one in (0, 1], or leave it out.")
        rates = {part.sample_rate for part in self.parts.values()}
        if len(rates) > 1:
            raise UserError(f"parts of several sample rates: {', '.join(map(str, rates))} Hz.")
        seen: dict[str, str] = {}
        for name, part in self.parts.items():
            for row in part.index:
                other = seen.setdefault(row["utterance_id"], name)
                if other != name:
                    raise UserError(
                        f"utterance {row['utterance_id']} is in {other} and in {name}: name "
                        "parts that do not overlap."
                    )
