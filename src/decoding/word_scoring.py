"""What words are worth to the beam search: language model, spelling trie and bonuses together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from src.decoding.ngram_lm import LMArrays, NGramLM
from src.decoding.prefix_words import WordScoring
from src.decoding.word_trie import MAX_ALPHABET, TrieArrays, build_word_trie
from src.utils.errors import UserError

DEFAULT_ALPHA, DEFAULT_BETA = 0.5, 1.5  # pyctcdecode's

NO_LM = (
    np.zeros(2, np.int32),
    np.zeros(1, np.int32),
    np.zeros(1, np.float32),
    np.zeros(1, np.int32),
    np.zeros(1, np.float32),
    np.zeros(1, np.int32),
)
for array in NO_LM:  # as an NGramLM's: numba compiles one kernel for both
    array.flags.writeable = False


def known_words(lm: NGramLM | None, hotwords: Mapping[str, float]) -> list[str]:
    """The word of each id: the language model's, then the hotwords that it does not know."""
    return list(dict.fromkeys([*(lm.words if lm else ()), *hotwords]))


def word_scoring(
    lm: NGramLM | None,
    words: Sequence[str],
    spellings: Sequence[str],
    alphabet: str,
    alpha: float | None,
    beta: float | None,
    vocabulary: str,
    unknown_word_score: float,
    hotwords: Mapping[str, float],
) -> tuple[LMArrays, TrieArrays, WordScoring]:
    """The arrays that `prefix_beam_search` takes; see `BeamSearchDecoder` for the other arguments.

    `words` are the `known_words`, `spellings` how each is written with the letters of `alphabet`.
    The trie's `best` holds what the best word below a node adds to a score at the least: alpha
    times its unigram ln P, beta, its hotword's weight.
    """
    if vocabulary not in ("open", "closed"):
        raise UserError(f"vocabulary={vocabulary!r} is neither open nor closed")
    if lm is None and (alpha or beta):
        raise UserError(
            f"alpha={alpha} and beta={beta} weigh a language model, but lm is not given; "
            "name an ARPA file with lm=PATH or leave them out"
        )
    if lm is None and vocabulary == "closed":
        raise UserError("vocabulary=closed is that of a language model; name one with lm=PATH")
    if lm is None:
        alpha = beta = 0.0
    alpha = DEFAULT_ALPHA if alpha is None else float(alpha)
    beta = DEFAULT_BETA if beta is None else float(beta)
    if alpha < 0:
        raise UserError(f"alpha={alpha} would prefer what the language model finds unlikely")
    for word, spelling in zip(words, spellings):
        if word in hotwords and not (word and set(spelling) <= set(alphabet)):
            raise UserError(f"hotword {word!r} cannot be spelt with the letters {alphabet!r}")

    bonus = np.array([hotwords.get(word, 0.0) for word in words])
    n_known = 0 if lm is None else len(lm.words)
    unigram = np.zeros(len(words))
    arrays = LMArrays(*NO_LM)
    state = unknown = end = 0
    if lm is not None:
        arrays, state, unknown, end = lm.arrays, lm.start_state, lm.unk_id, lm.eos_id
        unigram[:n_known] = arrays.log_prob[:n_known]
        unigram[n_known:] = arrays.log_prob[unknown] + unknown_word_score
    score = alpha * unigram + beta + bonus
    if words and len(alphabet) > MAX_ALPHABET:
        raise UserError(
            f"the text encoder spells with {len(alphabet)} characters; words can be scored with "
            f"{MAX_ALPHABET} at most: leave out lm and hotwords"
        )
    trie, alike = build_word_trie(
        words, score.astype(np.float32), alphabet if words else "", spellings
    )

    best_bonus = beta + max(0.0, float(bonus.max(initial=0.0)))
    off_trie = beta + alpha * max(0.0, unknown_word_score) if vocabulary == "open" else -np.inf
    start = max(off_trie, float(trie.best[0]))
    scoring = WordScoring(
        active=lm is not None or bool(hotwords),
        closed=vocabulary == "closed",
        with_lm=lm is not None,
        alpha=alpha,
        unknown_score=float(unknown_word_score),
        beta=beta,
        bonus=bonus,
        alike=alike,
        # an end may be followed by the start of the next word (pieces such as `▁the`)
        end_bound=max(
            off_trie, best_bonus + alpha * max(0.0, unknown_word_score) + max(0.0, start)
        ),
        start_bound=start,
        start_state=state,
        unknown_id=unknown,
        end_id=end,
    )
    return arrays, trie, scoring
