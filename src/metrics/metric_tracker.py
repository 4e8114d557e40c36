"""Running weighted means of scalars between two points of logging.

tracker = MetricTracker()
for batch in batches:
    tracker.update("loss", loss, weight=len(batch))  # never waits for the device
writer.add_scalars(tracker.means())                  # waits once, for all of them
tracker.reset()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class MetricTracker:
    """Weighted mean of each named scalar since the last `reset()`.

    Sums stay where the values live. Reading a CUDA scalar (`loss.item()`) at every step makes
    the CPU wait for the GPU, and the GPU then waits for the CPU to queue the next step.
    """

    def __init__(self) -> None:
        self._totals: dict[str, Tensor | float] = {}
        self._weights: dict[str, Tensor | float] = {}

    def update(self, name: str, value: Tensor | float, weight: Tensor | float = 1.0) -> None:
        """Add `value` (a number or a tensor of one element) with a weight, such as a batch size.

        A NaN or an infinity stays in the mean unless its weight is a tensor, computed where the
        value lives, and 0: the caller decides what is worth counting.
        """
        if isinstance(value, Tensor):
            value = value.detach().float().reshape(())
        if isinstance(weight, Tensor):
            weight = weight.float()
            value = torch.where(weight > 0, value, 0.0)
        self._totals[name] = self._totals.get(name, 0.0) + value * weight
        self._weights[name] = self._weights.get(name, 0.0) + weight

    def means(self) -> dict[str, float]:
        """Means by name, in the order the names were first seen. Synchronises with the device."""
        totals, weights = _read(self._totals), _read(self._weights)
        return {name: totals[name] / weight for name, weight in weights.items() if weight}

    def pool(self, gather: Callable[[Any], list[Any]]) -> None:
        """Adds up what several processes have; `gather` gives each one's state to all."""
        states = gather(self.state_dict())
        self.reset()
        for state in states:
            for name, total in state["totals"].items():
                self._totals[name] = self._totals.get(name, 0.0) + total
                self._weights[name] = self._weights.get(name, 0.0) + state["weights"][name]

    def reset(self) -> None:
        self._totals.clear()
        self._weights.clear()

    def state_dict(self) -> dict[str, dict[str, float]]:
        """Totals and weights as plain numbers, to go on from after a restart."""
        return {"totals": _read(self._totals), "weights": _read(self._weights)}

    def load_state_dict(self, state: dict[str, dict[str, float]]) -> None:
        self._totals = dict(state["totals"])
        self._weights = dict(state["weights"])


def _read(values: dict[str, Tensor | float]) -> dict[str, float]:
    """All as numbers, with one wait for the device."""
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    read = dict(zip(tensors, torch.stack(list(tensors.values())).tolist())) if tensors else {}
    return {name: float(value) for name, value in {**values, **read}.items()}
