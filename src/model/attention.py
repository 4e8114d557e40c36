"""Multi-head self-attention through PyTorch's fused kernels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from src.model.dropout import Dropout
from src.model.positions import rotate


class SelfAttention(nn.Module):
    """LayerNorm, attention over the frames of the same utterance, dropout.

    Legend of the shape suffixes: B batch, T frames, D model width, H heads, K = D / H.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model {d_model} is not a multiple of n_heads {n_heads}")
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout)

    def forward(
        self, x_BTD: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """mask [B, T] is True for frames to attend to; `rotary` turns queries and keys."""
        B, T, D = x_BTD.shape
        qkv = self.qkv(self.norm(x_BTD)).view(B, T, 3, self.n_heads, D // self.n_heads)
        q_BHTK, k_BHTK, v_BHTK = qkv.permute(2, 0, 3, 1, 4)
        if rotary is not None:
            q_BHTK, k_BHTK = rotate(q_BHTK, *rotary), rotate(k_BHTK, *rotary)
        y_BHTK = scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=mask[:, None, None, :],
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        return self.dropout(self.out(y_BHTK.transpose(1, 2).reshape(B, T, D)))
