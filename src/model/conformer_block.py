"""One Conformer block: half feed-forward, attention, convolution, half feed-forward, norm."""

from __future__ import annotations

from torch import Tensor, nn

from src.model.attention import SelfAttention
from src.model.convolution import ConvolutionModule
from src.model.feed_forward import FeedForward


class ConformerBlock(nn.Module):
    """Section 2.4 of arXiv 2005.08100: two half-step feed-forwards around the other modules."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        kernel_size: int = 31,
        ff_expansion: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.feed_forward_in = FeedForward(d_model, ff_expansion, dropout)
        self.attention = SelfAttention(d_model, n_heads, dropout)
        self.convolution = ConvolutionModule(d_model, kernel_size, dropout)
        self.feed_forward_out = FeedForward(d_model, ff_expansion, dropout)
        self.norm = nn.LayerNorm(d_model)

    def forward(
        self, x: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """x [B, T, D], mask [B, T] (True for speech) -> [B, T, D]."""
        x = x + 0.5 * self.feed_forward_in(x)
        x = x + self.attention(x, mask, rotary)
        x = x + self.convolution(x, mask)
        x = x + 0.5 * self.feed_forward_out(x)
        return self.norm(x)
