"""CR-CTC: consistency-regularised CTC (Yao et al., arXiv 2410.05101)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from src.loss.ctc import CTCLoss
from src.utils.masking import length_mask


class ConsistencyCTCLoss(nn.Module):
    """CTC of two differently augmented views of each utterance, which must also agree.

    Each view learns from the other's distribution, frame by frame, as from a teacher: no gradient
    flows into what is learnt from.

    Args:
        consistency_weight: alpha of CTC + alpha CR; the paper's 0.2.
        options: as for `CTCLoss`.
    """

    views = 2

    def __init__(self, consistency_weight: float = 0.2, **options: Any) -> None:
        super().__init__()
        if consistency_weight < 0:
            raise ValueError(f"consistency_weight {consistency_weight} is negative")
        self.ctc = CTCLoss(**options)
        self.consistency_weight = consistency_weight

    def forward(
        self,
        log_probs: Tensor,
        log_prob_length: Tensor,
        tokens: Tensor,
        token_length: Tensor,
        views: int = 1,
        **batch: Any,
    ) -> dict[str, Tensor]:
        """As `CTCLoss`; with `views` 2, rows b and B / 2 + b are views of the same utterance, and
        there is a `consistency_loss` []."""
        out = self.ctc(log_probs, log_prob_length, tokens, token_length, **batch)
        if views == 2:
            divergence = consistency(log_probs, log_prob_length) / token_length.clamp_min(1)
            out["consistency_loss"] = divergence.mean()
            out["loss"] = out["loss"] + self.consistency_weight * out["consistency_loss"]
        return out


def consistency(log_probs: Tensor, log_prob_length: Tensor) -> Tensor:
    """log_probs [2B, T, V], views b and B + b of utterance b -> [2B]: KL(other view || this one)
    in nats, summed over the frames; the gradient reaches this view only."""
    other = log_probs.detach().roll(len(log_probs) // 2, dims=0)
    divergence = kl_div(log_probs, other, reduction="none", log_target=True).sum(dim=-1)
    frames = length_mask(log_prob_length, log_probs.shape[1])
    return torch.where(frames, divergence, 0.0).sum(dim=1)
