"""Conformer encoder with a CTC head (Gulati et al., arXiv 2005.08100).

Notable features:
- 2x, 4x or 8x convolutional subsampling that keeps at least one frame of any utterance
- sinusoidal absolute positions, or rotary ones by `positions=rotary`
- fused attention with a [B, 1, 1, T] mask, never a [T, T] one
- padding never leaks: an utterance's log-probabilities are the same alone and in any batch
- for training: predictions of intermediate layers for their own CTC loss, self-conditioning on
  these, stochastic depth
- memory for compute by `activation_checkpointing`; `compile()` compiles one block for all

    python train.py model=conformer_small model.positions=rotary
    python train.py 'model.intermediate_layers=[7,14]' model.self_conditioning=true
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from src.model.conformer_block import ConformerBlock
from src.model.dropout import Dropout
from src.model.positions import rotary_positions, sinusoidal_positions
from src.model.subsampling import ConvolutionSubsampling
from src.utils.masking import length_mask


class Conformer(nn.Module):
    """Log-mel features in, log-probabilities of `vocab_size` tokens (0 is the blank) out.

    Arguments beyond the sizes:
        intermediate_layers: blocks (the first is 1) whose output the head reads too, in training,
            so that the loss can weigh their predictions (InterCTC, arXiv 2102.03216).
        self_conditioning: adds a linear map of these predictions to the input of the next block
            (arXiv 2104.02724), in training and after it.
        stochastic_depth: probability that the last block is skipped for an utterance in training,
            rising linearly from the first (arXiv 1603.09382, section 3).
        activation_checkpointing: the backward pass computes each block anew from its input, which
            is all that the forward pass keeps of it (arXiv 1604.06174): the same gradients.
    """

    vocabulary_layers = ("head", "conditioning")  # whose weights belong to the tokens

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
        intermediate_layers: Sequence[int] = (),
        self_conditioning: bool = False,
        stochastic_depth: float = 0.0,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"n_features": n_features, "d_model": d_model, "n_layers": n_layers}
        sizes |= {"n_heads": n_heads, "kernel_size": kernel_size, "ff_expansion": ff_expansion}
        sizes |= {"subsampling_channels": subsampling_channels}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} {size} is not 1 or more")
        if positions not in ("sinusoidal", "rotary"):
            raise ValueError(f"positions {positions!r} is not sinusoidal or rotary")
        if not all(1 <= layer < n_layers for layer in intermediate_layers):
            raise ValueError(
                f"intermediate_layers {list(intermediate_layers)} are not between 1 and "
                f"{n_layers - 1}, the layers below the last"
            )
        if self_conditioning and not intermediate_layers:
            raise ValueError("self_conditioning=true needs intermediate_layers to condition on")
        if (d_model if positions == "sinusoidal" else d_model // n_heads) % 2:
            raise ValueError(
                f"positions come in pairs; d_model {d_model} with {n_heads} heads is odd"
            )
        self.d_model = d_model
        self.head_dim = d_model // n_heads
        self.positions = positions
        self.activation_checkpointing = activation_checkpointing
        self.subsampling = ConvolutionSubsampling(
            n_features, d_model, subsampling, subsampling_channels
        )
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            ConformerBlock(
                d_model,
                n_heads,
                kernel_size,
                ff_expansion,
                dropout,
                stochastic_depth * layer / n_layers,
            )
            for layer in range(1, n_layers + 1)
        )
        self.head = nn.Linear(d_model, vocab_size)
        self.intermediate_layers = frozenset(intermediate_layers)
        self.conditioning = nn.Linear(vocab_size, d_model) if self_conditioning else None

    def output_length(self, feature_length: Tensor) -> Tensor:
        """Frames of log-probabilities for `feature_length` [B] frames of features."""
        return self.subsampling.output_length(feature_length)

    def forward(
        self, features: Tensor, feature_length: Tensor, **batch: object
    ) -> dict[str, Tensor | list[Tensor]]:
        """features [B, F, M] -> `log_probs` [B, T, V] in float32, `log_prob_length` [B], and in
        training mode `intermediate_log_probs`, one [B, T, V] for each intermediate layer."""
        x, length = self.subsampling(features, feature_length)
        T = x.shape[1]
        mask = length_mask(length, T)
        rotary = None
        if self.positions == "rotary":
            rotary = rotary_positions(T, self.head_dim, x.device)
        else:
            x = math.sqrt(self.d_model) * x + sinusoidal_positions(T, self.d_model, x.device)
        x = self.dropout(x)
        intermediate = []
        for layer, block in enumerate(self.blocks, start=1):
            x = self._run(block, x, mask, rotary)
            if layer in self.intermediate_layers and (self.training or self.conditioning):
                intermediate.append(self._log_probs(x))
                if self.conditioning:
                    x = x + self.conditioning(intermediate[-1].exp())
        return {
            "log_probs": self._log_probs(x),
            "log_prob_length": length,
            **({"intermediate_log_probs": intermediate} if self.training else {}),
        }

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `nn.Module.compile`, block by block: all have the same code, so one graph serves all,
        and compiling takes as long for 21 blocks as for one."""
        for block in self.blocks:
            block.compile(*args, **kwargs)

    def _run(self, block: nn.Module, *inputs: Any) -> Tensor:
        if self.activation_checkpointing and self.training:
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    def _log_probs(self, x: Tensor) -> Tensor:
        return self.head(x).float().log_softmax(dim=-1)
