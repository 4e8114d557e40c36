"""Tokens' prior probabilities, to be divided out of a CTC model's before a language model is added.

CTC gives P(token | speech). A language model should meet P(speech | token), which is that over
P(token); the prior's power says how far to go. Priors are counted in the training transcripts with
blanks between the tokens, as in EESEN (Miao et al. 2015, arXiv 1507.08240).
"""

from __future__ import annotations

import torch
from torch import Tensor

from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError


def scaled_prior(text_encoder: CTCTextEncoder, scale: float) -> Tensor:
    """scale ln P(token), float32 [V], each token counted once more than it was seen.

    Raises:
        UserError: `scale` is below 0, or tokens were not counted.
    """
    if not scale >= 0:
        raise UserError(f"prior_scale={scale} would favour frequent tokens twice; 0 or more")
    if text_encoder.token_counts is None:
        raise UserError(
            f"prior_scale={scale:g} needs the tokens' counts in the training transcripts, which "
            "this text encoder was saved without: use prior_scale=0"
        )
    counts = torch.tensor(text_encoder.token_counts, dtype=torch.float64) + 1
    return (scale * (counts / counts.sum()).log()).float()


def without_prior(log_probs: Tensor, prior: Tensor) -> Tensor:
    """log_probs [..., V] less the `scaled_prior` [V], again of probabilities that sum to 1; frames
    in which nothing is possible stay so."""
    rest = (log_probs - prior.to(log_probs.device)).log_softmax(dim=-1)
    return rest.nan_to_num(nan=float("-inf"), neginf=float("-inf"))
