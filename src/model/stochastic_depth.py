"""Stochastic depth (Huang et al., arXiv 1603.09382): layers that utterances skip in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """What a residual layer made of x, or x itself, drawn for each utterance.

    What the layer added to an utterance that keeps it is divided by the probability of keeping,
    so that its expectation is what evaluation adds.
    """

    def __init__(self, drop_probability: float) -> None:
        super().__init__()
        if not 0 <= drop_probability < 1:
            raise ValueError(f"stochastic_depth {drop_probability} is no probability in [0, 1)")
        self.drop_probability = drop_probability

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x [B, T, D] entered the layer, y [B, T, D] is x and what the layer added to it."""
        if not self.training or not self.drop_probability:
            return y
        keep_probability = 1 - self.drop_probability
        kept = torch.rand(len(x), 1, 1, device=x.device) < keep_probability
        return x + (y - x) * (kept.to(x.dtype) / keep_probability)
