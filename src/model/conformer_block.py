"""One Conformer block: half feed-forward, attention, convolution, half feed-forward, norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from src.model.attention import SelfAttention
from src.model.convolution import ConvolutionModule
from src.model.feed_forward import FeedForward
from src.model.stochastic_depth import StochasticDepth


class ConformerBlock(nn.Module):
    """Section 2.4 of arXiv 2005.08100: two half-step feed-forwards around the other modules.

    In training an utterance skips all four with probability `drop_probability`.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        kernel_size: int = 31,
        ff_expansion: int = 4,
        dropout: float = 0.1,
        drop_probability: float = 0.0,
    ) -> None:
        super().__init__()
        self.feed_forward_in = FeedForward(d_model, ff_expansion, dropout)
        self.attention = SelfAttention(d_model, n_heads, dropout)
        self.convolution = ConvolutionModule(d_model, kernel_size, dropout)
        self.feed_forward_out = FeedForward(d_model, ff_expansion, dropout)
        self.norm = nn.LayerNorm(d_model)
        self.stochastic_depth = StochasticDepth(drop_probability)

    def forward(
        self, x: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """x [B, T, D], mask [B, T] (True for speech) -> [B, T, D]."""
        y = torch.add(x, self.feed_forward_in(x), alpha=0.5)
        y = y + self.attention(y, mask, rotary)
        y = y + self.convolution(y, mask)
        y = torch.add(y, self.feed_forward_out(y), alpha=0.5)
        return self.norm(self.stochastic_depth(x, y))
