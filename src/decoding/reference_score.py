"""What the beam search would give a transcript that it is handed, to tell whose fault an error is.

If the reference scores above the hypothesis, the search lost it (a search error); if below, the
acoustic model or the language model prefers the wrong text (a model error), and no beam helps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from src.decoding.beam_search import UNKNOWN_WORD_SCORE
from src.decoding.ngram_lm import NGramLM
from src.text_encoder import CTCTextEncoder


def reference_score(
    text: str,
    log_probs: Tensor,
    text_encoder: CTCTextEncoder,
    lm: NGramLM,
    alpha: float,
    beta: float,
    unknown_word_score: float = UNKNOWN_WORD_SCORE,
    vocabulary: str = "open",
) -> float:
    """score(text) of `BeamSearchDecoder`; -inf where the frames, or the words that it may use,
    cannot spell it.

    Args:
        log_probs: [T, V] of the utterance, natural logarithms.
        lm, alpha, beta, unknown_word_score, vocabulary: as the decoder has them.
    """
    words = text.split()
    unknown = sum(word not in lm for word in words)
    if unknown and vocabulary == "closed":
        return -math.inf
    tokens = torch.tensor([text_encoder.encode(text)])
    loss = torch.nn.functional.ctc_loss(
        log_probs.double().unsqueeze(1),
        tokens,
        torch.tensor([len(log_probs)]),
        torch.tensor([tokens.shape[1]]),
        reduction="sum",
    )
    language = sum(lm.score_sentence(words)) + unknown * unknown_word_score
    return float(-loss) + alpha * language + beta * len(words)
