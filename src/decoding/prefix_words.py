"""What the words of a prefix add to its score, for the numba kernel of the beam search."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np
from numba import njit

from src.decoding.ngram_lm import LMArrays, lookup
from src.decoding.token_table import TokenTable
from src.decoding.word_trie import step

ROOT = 0  # of the tree of prefixes, and of the trie: no word is open


class WordScoring(NamedTuple):
    """What a word is worth; see `BeamSearchDecoder`.

    Attributes:
        active: words are scored at all.
        closed: only words of the trie.
        with_lm: there is a language model (otherwise only `bonus` counts).
        alpha, unknown_score: weight of the LM; added to an unknown word's ln P.
        beta: for every word.
        bonus: float32, beside `beta`, for each word id of the trie.
        alike: int32, for each word id the next that is spelt alike, -1 after the last.
        end_bound, start_bound: no token that ends a word adds more, nor one that starts a word.
        start_state, unknown_id, end_id: of the LM.
    """

    active: bool
    closed: bool
    with_lm: bool
    alpha: float
    unknown_score: float
    beta: float
    bonus: np.ndarray
    alike: np.ndarray
    end_bound: float
    start_bound: float
    start_state: int
    unknown_id: int
    end_id: int


@njit(inline="always")
def unknown_word(tree: np.ndarray, node: int, lm: LMArrays, words: WordScoring) -> float:
    """What an unknown word adds to the LM's part after the finished words of `node`."""
    if np.isnan(tree[node].unknown):
        tree[node].unknown = 0.0
        if words.with_lm:
            log_prob, _ = lookup(lm, tree[node].state, words.unknown_id)
            tree[node].unknown = words.alpha * (log_prob + words.unknown_score)
    return tree[node].unknown


@njit(nogil=True, cache=True)
def word_end(
    tree: np.ndarray, node: int, word: int, lm: LMArrays, words: WordScoring
) -> tuple[float, float, int]:
    """What ending the node's open word as `word` (-1: unknown) adds to the parts of the LM and the
    bonus, and the LM's state after it."""
    bonus = words.beta + (words.bonus[word] if word >= 0 else 0.0)
    if word < 0 and words.closed:
        return -inf, bonus, tree[node].state
    if not words.with_lm:
        return 0.0, bonus, tree[node].state
    known = 0 <= word < lm.row_start[1] and word != words.unknown_id
    log_prob, state = lookup(lm, tree[node].state, word if known else words.unknown_id)
    return words.alpha * (log_prob + (0.0 if known else words.unknown_score)), bonus, state


@njit(nogil=True, cache=True)
def end_word(
    tree: np.ndarray, node: int, lm: LMArrays, trie: np.ndarray, words: WordScoring
) -> None:
    """Fills `end_lm`, `end_bonus` and `end_state` of a node, with the first of words alike."""
    tree[node].ended = True
    place = tree[node].place
    end = (0.0, 0.0, np.int64(tree[node].state))
    if place != ROOT and words.active:  # a word is open
        end = word_end(tree, node, trie[place].word if place > 0 else -1, lm, words)
    tree[node].end_lm, tree[node].end_bonus, tree[node].end_state = end


@njit(nogil=True, cache=True)
def word_end_of_choice(
    tree: np.ndarray, node: int, choice: int, lm: LMArrays, trie: np.ndarray, words: WordScoring
) -> tuple[float, float, int | np.int64]:
    """`word_end` with the word that is `choice` (1: the second) among those that are spelt alike;
    -inf if there is none."""
    place = tree[node].place
    word = np.int64(trie[place].word) if place > 0 else np.int64(-1)
    while choice > 0 and word >= 0:
        word = np.int64(words.alike[word])
        choice -= 1
    if word < 0:
        return -inf, 0.0, np.int64(tree[node].state)
    return word_end(tree, node, word, lm, words)


@njit(inline="always")
def extend(
    tree: np.ndarray,
    node: int,
    token: int,
    tokens: TokenTable,
    lm: LMArrays,
    trie: np.ndarray,
    words: WordScoring,
) -> tuple[float, int, float]:
    """(rank, trie place, look-ahead) of `node` + `token`; the rank is -inf if it is ruled out."""
    rank, place = tree[node].lm + tree[node].bonus, tree[node].place
    fresh_state = False
    if tokens.boundary[token]:
        if not tree[node].ended:
            end_word(tree, node, lm, trie, words)
        if tokens.choice[token] > 0:
            choice = tokens.choice[token]
            end_lm, end_bonus, _ = word_end_of_choice(tree, node, choice, lm, trie, words)
            return rank + end_lm + end_bonus, ROOT, 0.0
        rank += tree[node].end_lm + tree[node].end_bonus
        place = ROOT
        fresh_state = tree[node].end_state != tree[node].state
    for index in range(tokens.first_char[token], tokens.first_char[token + 1]):
        place = step(trie, place, tokens.chars[index])
    if place == ROOT:
        return rank, place, 0.0
    if place > 0:
        ahead = float(trie[place].best)
    elif words.closed:
        return -inf, place, 0.0
    elif not words.with_lm:
        ahead = words.beta
    elif fresh_state:  # an unknown word begins: rare enough to look it up each time
        log_prob, _ = lookup(lm, tree[node].end_state, words.unknown_id)
        ahead = words.beta + words.alpha * (log_prob + words.unknown_score)
    else:
        ahead = words.beta + unknown_word(tree, node, lm, words)
    return rank + ahead, place, ahead
