"""The spellings of a vocabulary as a trie in flat arrays, for numba kernels.

trie, _ = build_word_trie(["a", "an"], np.float32([-1, -2]), ALPHABET)
trie = as_records(trie)
node = step(trie, 0, ALPHABET.index("a"))  # 0 is the root
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np

MAX_ALPHABET = 63
NO_WORDS = frozenset({"", "<s>", "</s>", "<unk>"})


class TrieArrays(NamedTuple):
    """N nodes, those of a depth after those of the depth before, in order of spelling."""

    children: np.ndarray  # uint64 [N], bit c: there is a child by character c
    first_child: np.ndarray  # int32 [N], node of the first child; the others follow
    word: np.ndarray  # int32 [N], the (best) word that ends here, -1 if none does
    best: np.ndarray  # float32 [N], the highest score of a word that ends here or below


# The same node as one record: what a kernel reads of a node lies together in memory.
TRIE_NODE = np.dtype(
    [
        ("children", np.uint64),
        ("first_child", np.int32),
        ("word", np.int32),
        ("best", np.float32),
    ],
    align=True,
)


def as_records(trie: TrieArrays) -> np.ndarray:
    """The trie as TRIE_NODE [N], for `step`."""
    records = np.empty(len(trie.word), TRIE_NODE)
    for name, column in trie._asdict().items():
        records[name] = column
    return records


def build_word_trie(
    words: Sequence[str],
    word_score: np.ndarray,
    alphabet: str,
    spellings: Sequence[str] | None = None,
) -> tuple[TrieArrays, np.ndarray]:
    """Trie of the words that the alphabet can spell, without `<s>`, `</s>` and `<unk>`.

    Args:
        words: word of each id, no word twice.
        word_score: [words], what `best` is the maximum of; -inf where there is no word.
        alphabet: at most 63 characters; character c of the arrays is `alphabet[c]`.
        spellings: of each word; None is the words themselves. Some may be the same.

    Returns:
        The trie, and int32 [words]: the next best word that is spelt like this one, -1 after the
        last.
    """
    spellings = words if spellings is None or spellings == words else spellings
    if len(alphabet) > MAX_ALPHABET:
        raise ValueError(f"an alphabet of {len(alphabet)} characters, at most {MAX_ALPHABET} fit")
    letters = set(alphabet)
    ids = [
        i
        for i, (word, spelling) in enumerate(zip(words, spellings))
        if spelling and letters.issuperset(spelling) and word not in NO_WORDS
    ]
    # Spelt with bytes 1, 2, ..., numpy's sorting of byte strings is the order of the children.
    to_byte = str.maketrans({char: chr(code) for code, char in enumerate(alphabet, 1)})
    spelling = np.array([spellings[i].translate(to_byte).encode("latin-1") for i in ids], bytes)
    word_id = np.array(ids, np.int32)
    score = np.asarray(word_score, np.float32)[word_id]
    order = np.lexsort((-score, spelling)) if spellings is not words else np.argsort(spelling)
    spelling, word_id, score = spelling[order], word_id[order], score[order]
    first = np.ones(len(ids), bool)
    first[1:] = spelling[1:] != spelling[:-1]
    alike = np.full(len(words), -1, np.int32)
    alike[word_id[:-1][~first[1:]]] = word_id[1:][~first[1:]]
    spelling, word_id, score = spelling[first], word_id[first], score[first]
    length = np.char.str_len(spelling)
    code = spelling.view(np.uint8).reshape(len(spelling), spelling.itemsize)

    levels = [_level(word_id[:0], score.max(keepdims=True, initial=-np.inf), np.zeros(1, int))]
    row = np.arange(len(spelling))  # words that are longer than the depth
    node = np.zeros(len(spelling), np.int64)  # at which they are, counted within their level
    offset = 1
    for depth in range(spelling.itemsize if ids else 0):
        longer = length[row] > depth
        row, node = row[longer], node[longer]
        char = code[row, depth].astype(np.int64) - 1
        is_first = np.ones(len(row), bool)
        is_first[1:] = (node[1:] != node[:-1]) | (char[1:] != char[:-1])
        first = np.flatnonzero(is_first)
        parent, char = node[first], char[first]
        node = np.cumsum(is_first) - 1

        above = levels[-1]
        bit = np.left_shift(np.uint64(1), char.astype(np.uint64))
        np.bitwise_or.at(above.children, parent, bit)
        oldest = np.flatnonzero(np.diff(parent, prepend=-1))
        above.first_child[parent[oldest]] = offset + oldest
        ends = length[row] == depth + 1
        levels.append(
            _level(word_id[row[ends]], np.maximum.reduceat(score[row], first), node[ends])
        )
        offset += len(first)
    return TrieArrays(*(np.concatenate(part) for part in zip(*levels))), alike


def _level(word_id: np.ndarray, best: np.ndarray, word_node: np.ndarray) -> TrieArrays:
    """Nodes that have no children yet; `word_id` ends at `word_node`."""
    word = np.full(len(best), -1, np.int32)
    word[word_node[: len(word_id)]] = word_id
    nodes = len(best)
    return TrieArrays(np.zeros(nodes, np.uint64), np.zeros(nodes, np.int32), word, best)


@numba.njit(cache=True, nogil=True)
def step(trie: np.ndarray, node: int, char: int) -> int | np.int64:
    """The child of `node` by `char` in a trie of records, -1 if there is none or `node` is -1."""
    if node < 0:
        return -1
    children = trie[node].children
    bit = np.uint64(1) << np.uint64(char)
    if children & bit == 0:
        return -1
    return np.int64(trie[node].first_child) + _ones(children & (bit - np.uint64(1)))


@numba.njit(cache=True, nogil=True)
def _ones(bits: np.uint64) -> np.int64:
    """How many bits are set: sums of neighbours, then of their neighbours (Warren 2012, 5-1)."""
    bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + (
        (bits >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))
