"""pyctcdecode 0.5 (+ KenLM): the beam search in Python that everyone knows, as a reference.

decoder = PyctcdecodeDecoder(text_encoder=encoder, frame_seconds=0.04, lm="3-gram.arpa")
hypotheses = decoder(log_probs, log_prob_length)
"""

from __future__ import annotations

import copy
import functools
import logging
import math
import multiprocessing
import weakref
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
from torch import Tensor

from src.decoding.arpa_words import arpa_words, unreadable_lm
from src.decoding.checks import check_beam_size, check_spells_with_letters, check_vocabulary
from src.decoding.hypothesis import Hypothesis, Word
from src.text_encoder import CTCTextEncoder
from src.utils.cores import available_cores
from src.utils.errors import UserError

LN_10 = math.log(10)
FLOOR = -34.5  # ln 1e-15, to which pyctcdecode lifts every token

# (text, [(word, (first frame, frame after the last))], logit score, logit + LM score)
Beam = tuple[str, list[tuple[str, tuple[int, int]]], float, float]


class PyctcdecodeDecoder:
    """Every score is a natural logarithm.

    Args:
        beam_size: prefixes kept after each frame.
        lm: an ARPA file (or None); its words are pyctcdecode's list of known unigrams, without
            which it is several times worse.
        alpha, beta: weight of the LM and bonus of each word; 0.5 and 1.5 unless given. Only with
            an LM.
        unknown_word_score: added to ln P(<unk>) of a word that the LM does not know.
        beam_prune_logp: prefixes this much below the best are dropped.
        token_min_logp: tokens below this are tried only where they are the best of the frame.
        hotwords: word -> what it adds to the score; pyctcdecode has one weight for all.
        num_processes: utterances decoded at once, by processes that are forked at the first
            batch and live as long as the decoder; None for one a core, 0 or 1 for none.
        n_best: hypotheses for each utterance.

    Hypotheses have words, but no tokens and frames: pyctcdecode tells where words lie, no more.
    It gives them no confidence either; here it is the geometric mean, over the word's frames, of
    the greatest token probability. With an LM it scores an empty last word (after a final space,
    or in an empty transcript) as an unknown word: that is in `lm_score`.
    """

    def __init__(
        self,
        *,
        text_encoder: CTCTextEncoder,
        frame_seconds: float,
        beam_size: int = 50,
        lm: str | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        unknown_word_score: float = -10 * LN_10,
        beam_prune_logp: float = -10.0,
        token_min_logp: float = -5.0,
        hotwords: dict[str, float] | None = None,
        num_processes: int | None = None,
        n_best: int = 1,
    ) -> None:
        check_beam_size(beam_size)
        check_spells_with_letters(text_encoder, "pyctcdecode")
        if lm is None and not (alpha is None and beta is None):
            raise UserError(
                "alpha and beta weigh a language model, and pyctcdecode has none here; give its "
                "ARPA file as lm, or leave both out"
            )
        weights = sorted(set((hotwords or {}).values()))
        if len(weights) > 1:
            raise UserError(
                f"pyctcdecode has one weight for all hotwords, and here are {weights}; give them "
                "the same one, or use decoder=beam_search_lm"
            )
        pyctcdecode = _pyctcdecode()
        self.text_encoder = text_encoder
        self.frame_seconds = frame_seconds
        self.n_best = n_best
        self.beta = 0.0 if lm is None else 1.5 if beta is None else beta
        self.search = {
            "beam_width": beam_size,
            "beam_prune_logp": beam_prune_logp,
            "token_min_logp": token_min_logp,
            # drops prefixes that differ only before the LM's memory, as its own `decode` does
            "prune_history": n_best == 1,
            "hotwords": list(hotwords or {}),
            "hotword_weight": weights[0] if weights else 0.0,
        }
        language_model = None
        if lm is not None:
            language_model = copy.copy(_language_model(lm))  # shares what is large
            language_model.alpha = 0.5 if alpha is None else alpha
            language_model.beta = self.beta
            language_model.unk_score_offset = unknown_word_score / LN_10
        # Labels are the encoder's own: "" is pyctcdecode's blank too, and one piece that begins
        # with the boundary of SentencePiece switches it to subwords.
        alphabet = pyctcdecode.Alphabet.build_alphabet(text_encoder.vocab)
        self._decoder = pyctcdecode.BeamSearchDecoderCTC(alphabet, language_model)
        weakref.finalize(self, self._decoder.cleanup)  # it keeps its LM in a class attribute
        self._num_processes = available_cores() if num_processes is None else num_processes
        self._pool: Pool | None = None

    def __call__(self, log_probs: Tensor, log_prob_length: Tensor) -> list[list[Hypothesis]]:
        """log_probs [B, T, V] and lengths [B] -> the `n_best` hypotheses of each, best first.

        NaN counts as probability zero. No frames give the empty text with score 0.
        """
        check_vocabulary(log_probs, self.text_encoder)
        values = np.nan_to_num(log_probs.float().cpu().numpy(), nan=FLOOR, neginf=FLOOR)
        utterances = [value[:length] for value, length in zip(values, log_prob_length.tolist())]
        spoken = [utterance for utterance in utterances if len(utterance)]
        pool = self._processes() if len(spoken) > 1 else None
        n_bests = iter(self._decoder.decode_beams_batch(pool, spoken, **self.search))
        return [
            [self._hypothesis(beam, utterance) for beam in next(n_bests)[: self.n_best]]
            if len(utterance)
            else [Hypothesis("", 0.0, 0.0)]
            for utterance in utterances
        ]

    def _hypothesis(self, beam: Beam, log_probs: np.ndarray) -> Hypothesis:
        text, spans, acoustic, score = beam
        word_bonus = self.beta * len(text.split())
        words = [
            Word(
                word,
                start * self.frame_seconds,
                end * self.frame_seconds,
                math.exp(log_probs[start:end].max(axis=1).mean()),
            )
            for word, (start, end) in spans
        ]
        lm_score = score - acoustic - word_bonus
        return Hypothesis(text, score, acoustic, lm_score, word_bonus, words=words)

    def _processes(self) -> Pool | None:
        if self._num_processes > 1 and self._pool is None:
            # forked, because forked processes find the LM where this one has loaded it
            self._pool = multiprocessing.get_context("fork").Pool(self._num_processes)
            weakref.finalize(self, self._pool.terminate)
        return self._pool


def _pyctcdecode() -> Any:
    # it warns of LMs it finds small and of subwords without <unk>; neither is of use here
    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    try:
        import pyctcdecode
    except ImportError as error:
        raise UserError(
            f"decoder=pyctcdecode needs a package that is not installed ({error}); "
            "pip install pyctcdecode==0.5.0"
        ) from None
    return pyctcdecode


@functools.lru_cache(maxsize=1)
def _language_model(path: str) -> Any:
    """pyctcdecode's language model with KenLM's and the words of the ARPA file inside.

    Loading takes a second for every few hundred thousand n-grams; the last one is kept.
    """
    words = arpa_words(path)
    try:
        import kenlm
    except ImportError:
        raise UserError(
            "decoder=pyctcdecode needs the package kenlm for a language model; "
            "pip install kenlm==0.3.0"
        ) from None
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        model = kenlm.Model(str(path), config)
    except (OSError, RuntimeError) as error:
        raise unreadable_lm(path, error) from None
    return _pyctcdecode().LanguageModel(model, words)
