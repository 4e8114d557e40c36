"""Connectionist temporal classification (Graves et al., ICML 2006)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import ctc_loss


class CTCLoss(nn.Module):
    """CTC in float32 whatever the autocast, averaged over utterances.

    Each utterance's negative log-likelihood (nats) is divided by its number of tokens, as with
    `torch.nn.CTCLoss(reduction="mean")`. An utterance that no path of its length can spell has
    an infinite loss: it takes no part in the mean or the gradient, and is counted.
    """

    def __init__(self, blank: int = 0) -> None:
        super().__init__()
        self.blank = blank

    def forward(
        self,
        log_probs: Tensor,
        log_prob_length: Tensor,
        tokens: Tensor,
        token_length: Tensor,
        **batch: object,
    ) -> dict[str, Tensor]:
        """log_probs [B, T, V], tokens [B, U] -> `loss` [] and `infinite_losses` [], a count."""
        with torch.autocast(log_probs.device.type, enabled=False):
            nll = ctc_loss(
                log_probs.float().transpose(0, 1),
                tokens,
                log_prob_length,
                token_length,
                blank=self.blank,
                reduction="none",
                zero_infinity=True,
            )
        repeats = ((tokens[:, 1:] == tokens[:, :-1]) & (tokens[:, 1:] != self.blank)).sum(dim=1)
        infinite = token_length + repeats > log_prob_length
        per_token = nll / token_length.clamp_min(1)
        loss = per_token.sum() / (~infinite).sum().clamp_min(1)
        return {"loss": loss, "infinite_losses": infinite.sum()}
