"""Conformer encoder with a CTC head (Gulati et al., arXiv 2005.08100).

Notable features:
- 2x, 4x or 8x convolutional subsampling that keeps at least one frame of any utterance
- sinusoidal absolute positions, or rotary ones by `positions=rotary`
- fused attention with a [B, 1, 1, T] mask, never a [T, T] one
- padding never leaks: an utterance's log-probabilities are the same alone and in any batch

    python train.py model=conformer_small model.positions=rotary
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from src.model.conformer_block import ConformerBlock
from src.model.positions import rotary_positions, sinusoidal_positions
from src.model.subsampling import ConvolutionSubsampling
from src.utils.masking import length_mask


class Conformer(nn.Module):
    """Log-mel features in, log-probabilities of `vocab_size` tokens (0 is the blank) out."""

    def __init__(
        self,
        vocab_size: int,
        n_features: int = 80,
        d_model: int = 512,
        n_layers: int = 21,
        n_heads: int = 8,
        kernel_size: int = 31,
        ff_expansion: int = 4,
        subsampling: int = 4,
        subsampling_channels: int = 256,
        positions: str = "sinusoidal",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if positions not in ("sinusoidal", "rotary"):
            raise ValueError(f"positions {positions!r} is not sinusoidal or rotary")
        self.d_model = d_model
        self.head_dim = d_model // n_heads
        self.positions = positions
        self.subsampling = ConvolutionSubsampling(
            n_features, d_model, subsampling, subsampling_channels
        )
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            ConformerBlock(d_model, n_heads, kernel_size, ff_expansion, dropout)
            for _ in range(n_layers)
        )
        self.head = nn.Linear(d_model, vocab_size)

    def output_length(self, feature_length: Tensor) -> Tensor:
        """Frames of log-probabilities for `feature_length` [B] frames of features."""
        return self.subsampling.output_length(feature_length)

    def forward(
        self, features: Tensor, feature_length: Tensor, **batch: object
    ) -> dict[str, Tensor]:
        """features [B, F, M] -> `log_probs` [B, T, V] in float32, `log_prob_length` [B]."""
        x, length = self.subsampling(features, feature_length)
        T = x.shape[1]
        mask = length_mask(length, T)
        rotary = None
        if self.positions == "rotary":
            rotary = rotary_positions(T, self.head_dim, x.device)
        else:
            x = math.sqrt(self.d_model) * x + sinusoidal_positions(T, self.d_model, x.device)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, mask, rotary)
        log_probs = self.head(x).float().log_softmax(dim=-1)
        return {"log_probs": log_probs, "log_prob_length": length}
