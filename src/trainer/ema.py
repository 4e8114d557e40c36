"""Exponential moving average of the weights: what is evaluated and saved, not what is trained.

Averaging along the way acts like a lower learning rate without being one (Polyak & Juditsky, 1992;
Izmailov et al., arXiv 1803.05407).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightEMA:
    """average <- d average + (1 - d) weights after each optimizer step.

    d rises to `decay` as (1 + n) / (10 + n) with the n-th update, so that the first weights, which
    are random, are soon forgotten (the rule of TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.parameters: list[Tensor] = list(model.parameters())
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the weights as they are now."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
        self.updates += 1

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Inside, the model has the average and `state_dict` the trained weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self.parameters, self.average):
            weights = parameter.clone()
            parameter.copy_(average)
            average.copy_(weights)

    def state_dict(self) -> dict[str, Any]:
        """Inside `in_model`: what training goes on from."""
        return {"updates": self.updates, "trained": self.average}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Into a model that has the average, as a checkpoint's weights are."""
        self.updates = state["updates"]
        for average, trained in zip(self.average, state["trained"]):
            average.copy_(trained)
        self._swap()
