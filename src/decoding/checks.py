"""What every decoder asks of its input, in one sentence each."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from torch import Tensor

from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError

logger = logging.getLogger(__name__)


def check_beam_size(beam_size: int) -> None:
    if beam_size < 1:
        raise UserError(f"beam_size is {beam_size}; a beam search keeps at least 1 prefix")


def spells_with_letters(text_encoder: CTCTextEncoder) -> bool:
    """Whether its vocabulary's strings write words as people do; phonemes' do not."""
    return text_encoder.spell(["knight"]) == ["knight"]


def check_spells_with_letters(text_encoder: CTCTextEncoder, decoder: str) -> None:
    if not spells_with_letters(text_encoder):
        raise UserError(
            f"decoder={decoder} knows words by their letters, and the text encoder spells with "
            "phonemes; use beam_search_closed"
        )


def warn_of_phonemes(text_encoder: CTCTextEncoder, decoders: Iterable[object]) -> None:
    """Says so where none of the decoders can turn into words what is not spelt with letters."""
    if not (spells_with_letters(text_encoder) or any(getattr(d, "lm", None) for d in decoders)):
        logger.warning(
            "this recogniser writes phonemes, and only a language model makes words of them all: "
            "use beam_search_closed (metrics=beam_lm_closed) with lm=LM.arpa"
        )


def check_vocabulary(log_probs: Tensor, text_encoder: CTCTextEncoder) -> None:
    """log_probs [B, T, V] must be of the text encoder's V tokens."""
    if log_probs.shape[-1] != len(text_encoder):
        raise UserError(
            f"the log-probabilities are of {log_probs.shape[-1]} tokens, but the text encoder has "
            f"{len(text_encoder)}; use the text encoder that the model was trained with"
        )
