"""Words' scores for a whole batch of prefixes: LM, spelling trie and bonuses in torch tensors.

A spelling is known by its hash, which one multiplication and one addition a token carry on however
many letters the token has, and a node of the trie is found by the hash of its spelling: one binary
search in a sorted array, where walking the trie takes a dozen operations a letter.

Hashes are polynomials over random 64-bit codes, modulo 2^64. A spelling off the trie is taken for
one on it with a probability of about nodes / 2^60: 1e-12 for a million nodes.

Legend: B utterances, K beam slots, V tokens, N nodes of the trie.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.decoding.ngram_lm import NGramLM
from src.decoding.ngram_lm_tensor import TorchLM
from src.decoding.prefix_words import WordScoring
from src.decoding.token_table import TokenTable
from src.decoding.word_trie import TrieArrays

HASH_FACTOR = 6364136223846793005  # Knuth's, MMIX: odd, and 5 modulo 8
NO_LETTERS = 0  # the spelling where no word is open


def random_codes(size: int) -> np.ndarray:
    """int64 [size], the same in every run."""
    full = np.iinfo(np.int64)
    return np.random.default_rng(0).integers(full.min, full.max, size, np.int64)


class PrefixWords(NamedTuple):
    """The words of each prefix. In an axis of E = 2, [0] is up to its last finished word, [1] what
    it would be if its unfinished word ended here (the same if there is none).

    Attributes:
        spelling: int64 [B, K], hash of the unfinished word's letters.
        node: int64 [B, K], of the trie; one and the same for all spellings off it.
        state: int64 [B, K, E], of the LM.
        parts: float64 [B, K, E, 2], sums over the words of what the LM and the bonuses give.
    """

    spelling: Tensor
    node: Tensor
    state: Tensor
    parts: Tensor


class TensorWordScoring:
    """The same scores as `prefix_beam_search` takes them from; see `WordScoring`."""

    def __init__(
        self,
        tokens: TokenTable,
        lm: NGramLM | None,
        trie: TrieArrays,
        words: WordScoring,
        device: torch.device,
    ) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        self.alpha, self.unknown_score, self.closed = words.alpha, words.unknown_score, words.closed
        self.start_state, self.unknown_id, self.end_id = (
            words.start_state,
            words.unknown_id,
            words.end_id,
        )
        self.lm = TorchLM(lm).to(device) if lm else None
        factor, addend = _token_hashes(tokens)
        self.token_factor, self.token_addend = tensor(factor), tensor(addend)
        self.token_boundary = tensor(tokens.boundary.astype(np.int64))

        # nodes in the order of their hashes; after them `off_trie`, which no hash finds
        spelling = _node_hashes(trie)
        order = np.argsort(spelling)
        spelling = np.append(spelling[order], np.iinfo(np.int64).max)
        word = np.append(trie.word[order], -1)
        known = (word >= 0) & (word < (len(lm.words) if lm else 0)) & (word != words.unknown_id)
        is_open = spelling != NO_LETTERS
        weight, constant = np.zeros((len(word), 2)), np.zeros((len(word), 2))
        if lm:
            weight[is_open, 0] = words.alpha
            constant[is_open & ~known, 0] = words.alpha * words.unknown_score
        if words.closed:
            weight[is_open & (word < 0), 0] = 0.0
            constant[is_open & (word < 0), 0] = -inf
        constant[is_open, 1] = words.beta + np.append(words.bonus, 0.0)[word[is_open]]
        self.off_trie = len(order)
        self.node_spelling = tensor(spelling)
        self.node_ahead = tensor(np.append(trie.best[order], 0.0) * is_open)
        self.node_word = tensor(np.where(known, word, words.unknown_id))
        # ending the node's word adds weight * ln P_lm(word) + constant to the parts
        self.node_weight, self.node_constant = tensor(weight), tensor(constant)
        # the look-ahead of an unknown word, for each state before it
        states = torch.arange(len(lm.arrays.suffix) if lm else 1, device=device)
        self.state_unknown = words.beta + self.unknown_word(states)[0]
        if words.closed:
            self.state_unknown.fill_(-inf)

    def start(self, shape: tuple[int, int]) -> PrefixWords:
        """Of empty prefixes."""
        spelling = torch.full(shape, NO_LETTERS, device=self.node_spelling.device)
        state = torch.full((*shape, 2), self.start_state, device=spelling.device)
        return PrefixWords(
            spelling,
            torch.searchsorted(self.node_spelling, spelling),
            state,
            torch.zeros_like(state[..., None].expand(*state.shape, 2), dtype=torch.float64),
        )

    def extensions(self, words: PrefixWords) -> tuple[Tensor, Tensor, Tensor]:
        """Each prefix with each token appended, [B, K, V]; the blank appends nothing.

        Returns:
            What ranks it beside its probability, float64; its spelling, int64; its node, int64.
        """
        finished = words.parts.sum(3)
        unknown = finished + self.state_unknown[words.state]
        spelling = torch.addcmul(self.token_addend, words.spelling[:, :, None], self.token_factor)
        node = torch.searchsorted(self.node_spelling, spelling)
        is_off = self.node_spelling[node] != spelling
        node.masked_fill_(is_off, self.off_trie)
        rank = torch.where(
            is_off,
            unknown.index_select(2, self.token_boundary),
            finished.index_select(2, self.token_boundary) + self.node_ahead[node],
        )
        return rank, spelling, node

    def extended(
        self, words: PrefixWords, slot: Tensor, token: Tensor, spelling: Tensor, node: Tensor
    ) -> PrefixWords:
        """Of the prefixes in `slot` with `token` appended, all [B, K]."""
        finished = torch.add(self.token_boundary[token], slot, alpha=2)
        state = words.state.flatten(1).gather(1, finished)
        parts = words.parts.flatten(1, 2).gather(1, finished[:, :, None].expand(-1, -1, 2))
        ended, ended_state = parts + self.node_constant[node], state
        if self.lm is not None:
            log_prob, next_state = self.lm(state, self.node_word[node])
            ended = torch.addcmul(ended, self.node_weight[node], log_prob[:, :, None])
            ended_state = torch.where(spelling == NO_LETTERS, state, next_state)
        return PrefixWords(
            spelling, node, torch.stack([state, ended_state], 2), torch.stack([parts, ended], 2)
        )

    def unknown_word(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """What an unknown word adds to the LM's part, and the state after it."""
        if self.lm is None:
            return torch.zeros_like(state, dtype=torch.float64), state
        log_prob, next_state = self.lm(state, torch.full_like(state, self.unknown_id))
        return self.alpha * (log_prob.double() + self.unknown_score), next_state

    def end_of_sentence(self, words: PrefixWords, possible: Tensor) -> tuple[Tensor, Tensor]:
        """Parts of LM and bonus after the last words and `</s>`, float64 [B, K] each.

        Where none of an utterance's `possible` [B, K] prefixes ends in a word of a closed
        vocabulary, its last words count as unknown ones.
        """
        (lm, bonus), state = words.parts[:, :, 1].unbind(2), words.state[:, :, 1]
        if self.closed:
            unknown, unknown_state = self.unknown_word(words.state[:, :, 0])
            no_word = lm == -inf
            forgiven = no_word & ~(possible & ~no_word).any(1, keepdim=True)
            lm = torch.where(forgiven, words.parts[:, :, 0, 0] + unknown, lm)
            state = torch.where(forgiven, unknown_state, state)
        if self.lm is not None:
            log_prob, _ = self.lm(state, torch.full_like(state, self.end_id))
            lm = lm + self.alpha * log_prob.double()
        return lm, bonus


def _token_hashes(tokens: TokenTable) -> tuple[np.ndarray, np.ndarray]:
    """A token makes the spelling s of the unfinished word into s * factor + addend: int64 [V]
    each. The factor is 0 where the token begins a new word."""
    codes = random_codes(64)
    factor = np.where(tokens.boundary, np.int64(0), np.int64(1))
    addend = np.zeros_like(factor)
    length = np.diff(tokens.first_char)
    for place in range(length.max(initial=0)):
        longer = np.flatnonzero(length > place)
        char = tokens.chars[tokens.first_char[longer] + place]
        factor[longer] *= HASH_FACTOR
        addend[longer] = addend[longer] * HASH_FACTOR + codes[char]
    return factor, addend


def _node_hashes(trie: TrieArrays) -> np.ndarray:
    """int64 [N]: the hash of what each node spells."""
    codes = random_codes(64)
    # nodes are in the order of their parents and characters, the root first
    children = np.ascontiguousarray(trie.children).view(np.uint8).reshape(-1, 8)
    parent, char = np.nonzero(np.unpackbits(children, axis=1, bitorder="little"))
    spelling = np.full(len(children), NO_LETTERS)
    made = 1
    while made < len(spelling):
        below = int(np.searchsorted(parent, made)) + 1  # first node whose parent is yet to come
        level = slice(made - 1, below - 1)
        spelling[made:below] = spelling[parent[level]] * HASH_FACTOR + codes[char[level]]
        made = below
    return spelling
