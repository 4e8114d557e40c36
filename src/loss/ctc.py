"""Connectionist temporal classification (Graves et al., ICML 2006)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import ctc_loss


class CTCLoss(nn.Module):
    """CTC in float32 whatever the autocast, averaged over utterances.

    Each utterance's negative log-likelihood (nats) is divided by its number of tokens, as with
    `torch.nn.CTCLoss(reduction="mean")`. An utterance that no path of its length can spell has
    an infinite loss: it takes no part in the mean or the gradient, and is counted.

    Args:
        intermediate_weight: w of (1 - w) CTC + w (mean CTC of the intermediate layers), for a
            model that returns their predictions (InterCTC, arXiv 2102.03216).
    """

    views = 1  # how often an utterance is augmented anew in one training batch

    def __init__(self, blank: int = 0, intermediate_weight: float = 0.0) -> None:
        super().__init__()
        if not 0 <= intermediate_weight <= 1:
            raise ValueError(f"intermediate_weight {intermediate_weight} is no share in [0, 1]")
        self.blank = blank
        self.intermediate_weight = intermediate_weight

    def forward(
        self,
        log_probs: Tensor,
        log_prob_length: Tensor,
        tokens: Tensor,
        token_length: Tensor,
        intermediate_log_probs: Sequence[Tensor] = (),
        **batch: object,
    ) -> dict[str, Tensor]:
        """log_probs [B, T, V], each of `intermediate_log_probs` too, tokens [B, U] ->
        `loss` [], its parts `ctc_loss` and, where there is one, `intermediate_loss`, and
        `infinite_losses` [], a count."""
        repeats = ((tokens[:, 1:] == tokens[:, :-1]) & (tokens[:, 1:] != self.blank)).sum(dim=1)
        infinite = token_length + repeats > log_prob_length
        finite = (~infinite).sum().clamp_min(1)

        def ctc(log_probs: Tensor) -> Tensor:
            nll = self._nll(log_probs, log_prob_length, tokens, token_length)
            return (nll / token_length.clamp_min(1)).sum() / finite

        loss = ctc(log_probs)
        out = {"loss": loss, "ctc_loss": loss, "infinite_losses": infinite.sum()}
        if intermediate_log_probs:
            intermediate = torch.stack([ctc(early) for early in intermediate_log_probs]).mean()
            out["intermediate_loss"] = intermediate
            out["loss"] = torch.lerp(loss, intermediate, self.intermediate_weight)
        return out

    def _nll(
        self, log_probs: Tensor, log_prob_length: Tensor, tokens: Tensor, token_length: Tensor
    ) -> Tensor:
        """Nats of each utterance [B]; 0 where they would be infinite."""
        with torch.autocast(log_probs.device.type, enabled=False):
            return ctc_loss(
                log_probs.float().transpose(0, 1),
                tokens,
                log_prob_length,
                token_length,
                blank=self.blank,
                reduction="none",
                zero_infinity=True,
            )
