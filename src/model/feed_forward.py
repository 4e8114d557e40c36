"""The feed-forward module (section 2.3 of arXiv 2005.08100)."""

from __future__ import annotations

from torch import Tensor, nn

from src.model.dropout import Dropout


class FeedForward(nn.Sequential):
    """LayerNorm, linear to `expansion` x D, SiLU, dropout, linear back, dropout: [B, T, D]."""

    def __init__(self, d_model: int, expansion: int = 4, dropout: float = 0.1) -> None:
        super().__init__(
            nn.LayerNorm(d_model),
            nn.Linear(d_model, expansion * d_model),
            nn.SiLU(),
            Dropout(dropout),
            nn.Linear(expansion * d_model, d_model),
            Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)
