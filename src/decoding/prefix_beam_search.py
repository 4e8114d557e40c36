"""CTC prefix beam search with word n-gram fusion: the CPU back end, compiled with numba.

The algorithm is Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs" (arXiv 1408.2873), in log space and exact: for every prefix in the
beam the probabilities of all its alignments are summed, those that end in a blank (`p_blank`)
apart from those that end in its last token (`p_token`).

What makes it fast:
- A prefix is a node of a tree with a link to its parent; nothing is copied. A node is made once:
  a prefix that leaves the beam and comes back is the same node, so that its extensions still
  find it and their probabilities meet.
- An extension that is in the beam already can only come from its parent, so n look-ups of parents
  replace n x V look-ups of children.
- The tokens of a frame are tried from the most probable down, and a prefix stops at the first that
  cannot enter the beam even with the best possible word score: no candidate that could have won
  is left out.
- A word's language-model score is looked up once a node, when its end first comes into question.

Legend: T frames, V tokens, K beam slots.
"""

from __future__ import annotations

from math import exp, inf, log1p
from typing import NamedTuple

import numpy as np
from numba import njit

from src.decoding.heap import heap_of_tokens, sift_down, sift_up
from src.decoding.ngram_lm import LMArrays, lookup
from src.decoding.prefix_words import (
    ROOT,
    WordScoring,
    end_word,
    extend,
    word_end,
    word_end_of_choice,
)
from src.decoding.recombination import heard, power_of_two, recombine
from src.decoding.token_table import TokenTable


class Pruning(NamedTuple):
    """Natural logarithms; the infinite values prune nothing beyond the beam's size.

    Attributes:
        beam_size: prefixes kept after each frame.
        beam_margin: prefixes that are this much worse than the best are dropped.
        token_floor: tokens less probable than this extend no prefix in that frame.
        blank_skip: where the blank is at least this probable, no prefix is extended.
        recombine: of prefixes that everything to come treats alike, the beaten ones are dropped.
    """

    beam_size: int
    beam_margin: float
    token_floor: float
    blank_skip: float
    recombine: bool


# A prefix. `lm` and `bonus` are of its finished words, `ahead` is the look-ahead of the unfinished
# one, `state` the LM's state before that and `place` its node in the trie (-1: off it). `end_*` is
# what ending the word adds, once it is known (`ended`), `unknown` what an unknown word would (NaN:
# not known yet). One record a prefix: what is read together lies together.
PREFIX = np.dtype(
    [
        ("parent", np.int32),
        ("token", np.int32),
        ("first_child", np.int32),
        ("next_sibling", np.int32),
        ("slot", np.int32),
        ("place", np.int32),
        ("state", np.int32),
        ("end_state", np.int32),
        ("lm", np.float64),
        ("bonus", np.float64),
        ("ahead", np.float64),
        ("unknown", np.float64),
        ("end_lm", np.float64),
        ("end_bonus", np.float64),
        ("ended", np.bool_),
    ],
    align=True,
)


@njit(inline="always")
def log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    if a - b > 40.0 or b == -inf:  # below the precision of a double
        return a
    return a + log1p(exp(b - a))


@njit(nogil=True, cache=True)
def child_of(
    tree: np.ndarray,
    size: int,
    node: int,
    token: int,
    place: int,
    ahead: float,
    boundary: bool,
    end: tuple[float, float, int],
) -> int:
    """The node of `node` + `token`, made as node `size` if there is none yet."""
    child = tree[node].first_child
    while child >= 0:
        if tree[child].token == token:
            return child
        child = tree[child].next_sibling
    parent, new = tree[node], tree[size]
    new.parent, new.token, new.place, new.ahead = node, token, place, ahead
    new.first_child, new.slot, new.ended = -1, -1, False
    new.next_sibling, parent.first_child = parent.first_child, size
    new.lm, new.bonus, new.state, new.unknown = (
        parent.lm,
        parent.bonus,
        parent.state,
        parent.unknown,
    )
    if boundary:
        new.lm += end[0]
        new.bonus += end[1]
        new.state, new.unknown = end[2], np.nan
    return size


@njit(nogil=True, cache=True)
def prefix_beam_search(
    log_probs: np.ndarray,
    blank: int,
    n_best: int,
    pruning: Pruning,
    tokens: TokenTable,
    lm: LMArrays,
    trie: np.ndarray,
    words: WordScoring,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The best prefixes of one utterance.

    Args:
        log_probs: float32 [T, V], natural logarithms, no NaN; V is the table's, so tokens that are
            heard alike have columns alike.

    Returns:
        scores, float64 [N, 3]: acoustic, LM and bonus parts, best sum first, N <= n_best;
        tokens, int32 [sum of lengths], one hypothesis after another; lengths, int64 [N]; the
        choice among words spelt alike that ends each hypothesis, int64 [N].
        N is 0 where every path is impossible.
    """
    T, V = log_probs.shape
    sound = tokens.sound
    K = pruning.beam_size
    tree = np.empty(T * K + 1, PREFIX)
    root = tree[ROOT]
    root.parent, root.token, root.first_child, root.slot, root.place = -1, -1, -1, 0, ROOT
    root.state, root.lm, root.bonus, root.ahead = words.start_state, 0.0, 0.0, 0.0
    root.unknown, root.ended = np.nan, False
    size = 1  # nodes made

    node, p_blank, p_token = np.zeros(K, np.int32), np.empty(K), np.empty(K)
    total = np.empty(K)  # of both
    stay_blank, stay_token, stay = np.empty(K), np.empty(K), np.empty(K)
    base, within = np.empty(K), np.empty(K)  # finished words; bound of what a word's letter adds
    p_blank[0], p_token[0], total[0] = 0.0, -inf, 0.0
    n = 1

    # candidates of a frame: 0 .. K-1 are the beam's own prefixes, the others extensions
    score = np.empty(2 * K)
    source, token_of = np.empty(2 * K, np.int32), np.empty(2 * K, np.int32)
    p_of, place_of, ahead_of = np.empty(2 * K), np.empty(2 * K, np.int32), np.empty(2 * K)
    heap, free = np.empty(K, np.int32), np.empty(K, np.int32)
    # a frame's tokens: `order` has the most probable ones, as many as were asked for so far
    order, waiting, cost = np.empty(V, np.int32), np.empty(V, np.int32), np.empty(V)
    met = np.full((K, V), -1, np.int32)  # the frame in which (prefix, token) was in the beam
    next_node, next_blank, next_token = np.empty(K, np.int32), np.empty(K), np.empty(K)
    next_total = np.empty(K)
    inflow, alike = np.empty(K), np.empty(K, np.int32)
    first_alike = np.empty(power_of_two(2 * K), np.int32)

    for t in range(T):
        row = log_probs[t]
        # the beam's own prefixes: by a blank, by their last token again, from their parent
        best = -inf
        for k in range(n):
            last, parent = tree[node[k]].token, tree[node[k]].parent
            stay_blank[k] = total[k] + row[blank]
            stay_token[k] = p_token[k] + row[last] if last >= 0 else -inf
            if parent >= 0 and tree[parent].slot >= 0:
                j = tree[parent].slot
                p = p_blank[j] if heard(tree, parent, sound) == sound[last] else total[j]
                stay_token[k] = log_add(stay_token[k], p + row[last])
                met[j, last] = t
            rank = tree[node[k]].lm + tree[node[k]].bonus + tree[node[k]].ahead
            stay[k] = log_add(stay_blank[k], stay_token[k])
            score[k] = stay[k] + rank
            best = max(best, score[k])
        if row[blank] >= pruning.blank_skip and best > -inf:
            p_blank[:n], p_token[:n], total[:n] = stay_blank[:n], stay_token[:n], stay[:n]
            continue

        filled = 0
        for k in range(n):
            if score[k] > -inf:
                heap[filled] = k
                sift_up(heap, score, filled)
                filled += 1
        n_free = K
        for k in range(K):
            free[k] = K + k

        # their extensions, the most probable tokens first
        worst = score[heap[0]] if filled == K else -inf
        highest = -inf
        for k in range(n):
            parent = node[k]
            base[k] = tree[parent].lm + tree[parent].bonus
            within[k] = words.start_bound if tree[parent].place == ROOT else tree[parent].ahead
            highest = max(highest, total[k] + base[k] + max(within[k], words.end_bound))
        floor = max(pruning.token_floor, max(worst, best - pruning.beam_margin) - highest)
        n_waiting, n_ordered = heap_of_tokens(row, blank, floor, waiting, cost), 0
        for k in range(n - 1, -1, -1):  # roughly the best first
            parent = node[k]
            bound = max(within[k], words.end_bound)
            last = heard(tree, parent, sound)
            index = 0
            while index < n_ordered + n_waiting:
                if index == n_ordered:
                    order[index] = waiting[0]
                    n_ordered, n_waiting = n_ordered + 1, n_waiting - 1
                    waiting[0] = waiting[n_waiting]
                    sift_down(waiting, cost, n_waiting, 0)
                token = order[index]
                index += 1
                limit = -inf if filled < K else score[heap[0]]
                limit = max(limit, best - pruning.beam_margin)
                reach = total[k] + row[token] + base[k]
                if reach + bound < limit:
                    break
                if met[k, token] == t or (not tokens.boundary[token] and reach + within[k] < limit):
                    continue
                p = (p_blank[k] if sound[token] == last else total[k]) + row[token]
                rank, place, ahead = base[k], ROOT, 0.0
                if words.active:
                    rank, place, ahead = extend(tree, parent, token, tokens, lm, trie, words)
                if not p + rank > limit:
                    continue
                if filled < K:
                    at = free[n_free - 1]
                    n_free -= 1
                    heap[filled] = at
                else:
                    at = heap[0]
                    if at < K:  # one of the beam's own leaves: its entry is not an extension's
                        at = free[n_free - 1]
                        n_free -= 1
                        heap[0] = at
                score[at], source[at], token_of[at] = p + rank, k, token
                p_of[at], place_of[at], ahead_of[at] = p, place, ahead
                best = max(best, score[at])
                if filled < K:
                    sift_up(heap, score, filled)
                    filled += 1
                else:
                    sift_down(heap, score, filled, 0)

        # the new beam
        kept = 0
        for index in range(filled):
            at = heap[index]
            if score[at] < best - pruning.beam_margin:
                continue
            if at < K:
                next_node[kept] = node[at]
                next_blank[kept], next_token[kept] = stay_blank[at], stay_token[at]
                next_total[kept] = stay[at]
            else:
                parent, token = node[source[at]], token_of[at]
                boundary = words.active and tokens.boundary[token]
                ended = tree[parent]
                end = (ended.end_lm, ended.end_bonus, np.int64(ended.end_state))
                if boundary and tokens.choice[token] > 0:
                    end = word_end_of_choice(tree, parent, tokens.choice[token], lm, trie, words)
                place, ahead = place_of[at], ahead_of[at]
                child = child_of(tree, size, parent, token, place, ahead, boundary, end)
                if child == size:
                    size += 1
                next_node[kept] = child
                next_blank[kept], next_token[kept] = -inf, p_of[at]
                next_total[kept] = p_of[at]
            kept += 1
        for k in range(n):
            tree[node[k]].slot = -1
        for k in range(kept):
            tree[next_node[k]].slot = k
        n = kept
        if pruning.recombine:
            room = (inflow, first_alike, alike)
            n = recombine(tree, next_node, sound, next_blank, next_token, next_total, kept, *room)
        for k in range(n):
            node[k], p_blank[k], p_token[k] = next_node[k], next_blank[k], next_token[k]
            total[k] = next_total[k]
            tree[node[k]].slot = k
        if n == 0:
            break
    return finish(tree, node[:n], p_blank[:n], p_token[:n], n_best, lm, trie, words)


@njit(nogil=True, cache=True)
def finish(
    tree: np.ndarray,
    node: np.ndarray,
    p_blank: np.ndarray,
    p_token: np.ndarray,
    n_best: int,
    lm: LMArrays,
    trie: np.ndarray,
    words: WordScoring,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ends the last words and the sentences, and reads the best prefixes back from the tree."""
    n = len(node)
    parts = np.empty((n, 3))
    total = np.empty(n)
    choice = np.zeros(n, np.int64)
    for unfinished in (False, True):
        for k in range(n):
            at = node[k]
            if not tree[at].ended:
                end_word(tree, at, lm, trie, words)
            end_lm, end_bonus = tree[at].end_lm, tree[at].end_bonus
            state = np.int64(tree[at].end_state)
            if words.with_lm:
                if unfinished and end_lm == -inf:
                    log_prob, state = lookup(lm, tree[at].state, words.unknown_id)
                    end_lm = words.alpha * (log_prob + words.unknown_score)
                end_lm += words.alpha * lookup(lm, state, words.end_id)[0]
                other, place = 1, tree[at].place
                word = words.alike[trie[place].word] if place > 0 and trie[place].word >= 0 else -1
                while word >= 0:
                    lm_part, bonus, state = word_end(tree, at, word, lm, words)
                    lm_part += words.alpha * lookup(lm, state, words.end_id)[0]
                    if lm_part + bonus > end_lm + end_bonus:
                        end_lm, end_bonus, choice[k] = lm_part, bonus, other
                    other, word = other + 1, words.alike[word]
            parts[k, 0] = log_add(p_blank[k], p_token[k])
            parts[k, 1] = tree[at].lm + end_lm
            parts[k, 2] = tree[at].bonus + end_bonus
            total[k] = parts[k, 0] + parts[k, 1] + parts[k, 2]
        if n == 0 or total.max() > -inf:
            break  # or no prefix ends in a whole word of the closed vocabulary: take the others
    by_score = np.argsort(-total, kind="mergesort")
    n = min(n_best, int(np.sum(total > -inf)))
    length = np.zeros(n, np.int64)
    for k in range(n):
        at = node[by_score[k]]
        while tree[at].parent >= 0:
            length[k] += 1
            at = tree[at].parent
    text = np.empty(length.sum(), np.int32)
    end = 0
    for k in range(n):
        end += length[k]
        at, position = node[by_score[k]], end
        while tree[at].parent >= 0:
            position -= 1
            text[position] = tree[at].token
            at = tree[at].parent
    return parts[by_score[:n]], text, length, choice[by_score[:n]]
