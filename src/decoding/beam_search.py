"""CTC prefix beam search, with or without a word n-gram language model and hotwords.

decoder = BeamSearchDecoder(text_encoder=encoder, frame_seconds=0.04, beam_size=16)
decoder = BeamSearchDecoder(text_encoder=encoder, lm="lm.arpa", alpha=0.5, beta=1.5)
best = decoder(log_probs, log_prob_length)[0][0]     # of the first utterance

score(text) = ln P_ctc(text) + sum over words of [ alpha ln P_lm(word | before) + beta ]
              + alpha ln P_lm(</s>)

where, with a `prior_scale`, a frame's P(token) is first divided by P(token in a transcript) to that
power (`token_prior`): what the model has learnt of which tokens are frequent, the language model
knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.decoding.alignment import ctc_viterbi
from src.decoding.checks import check_beam_size, check_vocabulary
from src.decoding.hypothesis import Hypothesis
from src.decoding.lexicon import Lexicon
from src.decoding.ngram_lm import NGramLM
from src.decoding.prefix_beam_search import Pruning, prefix_beam_search
from src.decoding.tensor_beam_search import TensorBeamSearch
from src.decoding.token_prior import scaled_prior, without_prior
from src.decoding.token_table import token_table, with_homophones
from src.decoding.word_scoring import known_words, word_scoring
from src.decoding.word_times import words_of_tokens
from src.decoding.word_trie import as_records
from src.text_encoder import CTCTextEncoder
from src.utils.cores import available_cores
from src.utils.errors import UserError

Found = tuple[np.ndarray, ...]  # what `prefix_beam_search` returns
UNKNOWN_WORD_SCORE = -10 * float(np.log(10))  # pyctcdecode's default, in natural logarithms


class BeamSearchDecoder:
    """Exact in the prefixes that it keeps: their probabilities are summed over all alignments.

    Args:
        text_encoder, frame_seconds: how tokens spell, and how long a frame lasts.
        beam_size: prefixes kept after each frame.
        lm: an ARPA file or an `NGramLM`; None decodes without words' scores.
        alpha, beta: weight of the LM's natural logarithms; added for every word. None is 0.5, 1.5.
        vocabulary: `open` allows any spelling, `closed` only the words of the LM.
        unknown_word_score: added to ln P of words that the LM does not know, before alpha.
        hotwords: word -> what it earns, in natural logarithms; works without an LM too.
        prior_scale: power of the tokens' prior that their probabilities are divided by; 0 is none.
        token_min_logp: less probable tokens extend no prefix in that frame.
        beam_prune_logp: prefixes that are this much (a negative number) below the best go.
        blank_skip: frames whose blank has at least this probability extend no prefix.
        recombine: of the prefixes that the rest of the utterance treats alike (the same last token,
            LM state and unfinished word), those that another one beats are dropped. The beam
            then holds more that differs. None is only where n_best is 1.
        n_best: hypotheses returned for each utterance.
        num_threads: utterances decoded at once; None is all cores.
        backend: `numba` runs on the CPU, `tensor` where the log-probs are, the whole batch at
            once; `auto` is `tensor` for log-probs on CUDA. The results are the same. `tensor`
            cannot tell words apart that the text encoder spells alike (homophones in phonemes).

    Hypotheses' `acoustic_score` is ln P_ctc (after the prior, if one is divided out), `lm_score`
    alpha times the LM's sum, `word_bonus` the rest. Each token's frame is its place on the best
    path that spells the hypothesis. Where no path is possible (NaN counts as impossible), the one
    hypothesis is empty and scores -inf.
    """

    def __init__(
        self,
        text_encoder: CTCTextEncoder,
        frame_seconds: float = 0.04,
        beam_size: int = 16,
        lm: str | Path | NGramLM | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        vocabulary: str = "open",
        unknown_word_score: float = UNKNOWN_WORD_SCORE,
        hotwords: Mapping[str, float] | None = None,
        prior_scale: float = 0.0,
        token_min_logp: float | None = None,
        beam_prune_logp: float | None = None,
        blank_skip: float | None = None,
        recombine: bool | None = None,
        n_best: int = 1,
        num_threads: int | None = None,
        backend: str = "auto",
    ) -> None:
        check_beam_size(beam_size)
        if n_best < 1:
            raise UserError(f"n_best={n_best} hypotheses: use 1 or more")
        if beam_prune_logp is not None and beam_prune_logp >= 0:
            raise UserError(f"beam_prune_logp={beam_prune_logp} would drop everything; below 0")
        if backend not in ("auto", "numba", "tensor"):
            raise UserError(f"backend={backend!r} is none of auto, numba and tensor")
        self.text_encoder, self.frame_seconds, self.n_best = text_encoder, frame_seconds, n_best
        self.pruning = Pruning(
            beam_size,
            inf if beam_prune_logp is None else -float(beam_prune_logp),
            -inf if token_min_logp is None else float(token_min_logp),
            inf if blank_skip is None else float(np.log(blank_skip)),
            n_best == 1 if recombine is None else recombine,
        )
        self.prior = scaled_prior(text_encoder, prior_scale) if prior_scale else None
        self.tokens, alphabet = token_table(text_encoder)
        if isinstance(lm, (str, Path)):
            lm = NGramLM.from_arpa(lm)
        self.lm = lm
        hotwords = hotwords or {}
        words = known_words(lm, hotwords)
        spellings = text_encoder.spell(words)
        settings = (alpha, beta, vocabulary, unknown_word_score, hotwords)
        self.scoring = word_scoring(lm, words, spellings, alphabet, *settings)
        self.trie = as_records(self.scoring[1])
        self.lexicon = Lexicon(words, spellings, self.scoring[2].alike, text_encoder)
        self.tokens = with_homophones(self.tokens, self.lexicon.most_alike)
        if self.lexicon.most_alike > 1:
            if backend == "tensor":
                raise UserError(
                    "backend=tensor cannot tell words apart that are spelt alike, as the text "
                    "encoder's are; use backend=auto"
                )
            backend = "numba"
        self.backend = backend
        self._tensor_searches: dict[torch.device, TensorBeamSearch] = {}
        threads = num_threads or available_cores()
        self._map = ThreadPoolExecutor(threads).map if threads > 1 else map

    @torch.no_grad()
    def __call__(self, log_probs: Tensor, log_prob_length: Tensor) -> list[list[Hypothesis]]:
        """log_probs [B, T, V], natural logarithms, and lengths [B] -> n-best lists, best first."""
        check_vocabulary(log_probs, self.text_encoder)
        log_probs = log_probs.detach().float().nan_to_num(nan=-inf, posinf=-inf, neginf=-inf)
        searched = log_probs if self.prior is None else without_prior(log_probs, self.prior)
        utterances = _unpadded(log_probs, log_prob_length)
        if self.backend == "tensor" or (self.backend == "auto" and log_probs.is_cuda):
            found = self._tensor_search(log_probs.device)(searched, log_prob_length)
            return list(self._map(self._n_best, utterances, found))
        return list(self._map(self._decode, utterances, _unpadded(searched, log_prob_length)))

    def _decode(self, log_probs: np.ndarray, searched: np.ndarray) -> list[Hypothesis]:
        return self._n_best(log_probs, self._numba_search(searched))

    def _numba_search(self, log_probs: np.ndarray) -> Found:
        settings = (self.text_encoder.blank, self.n_best, self.pruning, self.tokens)
        arrays, _, words = self.scoring
        if (sound := self.tokens.sound).size > log_probs.shape[1]:
            log_probs = np.ascontiguousarray(log_probs[:, sound])
        return prefix_beam_search(log_probs, *settings, arrays, self.trie, words)

    def _tensor_search(self, device: torch.device) -> TensorBeamSearch:
        if device not in self._tensor_searches:
            settings = (self.text_encoder.blank, self.n_best, self.pruning, self.tokens)
            _, trie, words = self.scoring
            self._tensor_searches[device] = TensorBeamSearch(
                *settings, self.lm, trie, words, device
            )
        return self._tensor_searches[device]

    def _n_best(self, log_probs: np.ndarray, found: Found) -> list[Hypothesis]:
        """Of one utterance: log_probs [T, V] and what the search returned."""
        parts, tokens, lengths, choices = found
        texts = np.split(tokens, lengths.cumsum()[:-1]) if len(lengths) else []
        return [
            self._hypothesis(log_probs, text, int(choice), *map(float, part))
            for text, choice, part in zip(texts, choices, parts)
        ] or [Hypothesis("", -inf, -inf)]

    def _hypothesis(
        self,
        log_probs: np.ndarray,
        tokens: np.ndarray,
        last_choice: int,
        acoustic: float,
        lm: float,
        bonus: float,
    ) -> Hypothesis:
        choices = [*self.tokens.choice[tokens[self.tokens.boundary[tokens]]].tolist(), last_choice]
        tokens = self.tokens.sound[tokens]
        frames = ctc_viterbi(log_probs, tokens, self.text_encoder.blank)
        peaks = log_probs[frames, tokens].tolist()
        token_list, frame_list = tokens.tolist(), frames.tolist()
        words = words_of_tokens(
            token_list, frame_list, peaks, self.text_encoder, self.frame_seconds
        )
        text = self.text_encoder.decode(token_list)
        if self.lexicon.differs:
            text = self.lexicon.text(token_list, choices)
            words = [replace(word, text=said) for word, said in zip(words, text.split())]
        return Hypothesis(
            text=text,
            score=acoustic + lm + bonus,
            acoustic_score=acoustic,
            lm_score=lm,
            word_bonus=bonus,
            tokens=token_list,
            frames=frame_list,
            words=words,
        )


def _unpadded(log_probs: Tensor, log_prob_length: Tensor) -> list[np.ndarray]:
    """[T, V] of each utterance, on the CPU."""
    frames = log_probs.cpu()
    return [frames[b, :length].numpy() for b, length in enumerate(log_prob_length.tolist())]
