"""Prefixes that everything to come treats alike, for the numba kernel of the beam search."""

from __future__ import annotations

from math import inf

import numpy as np
from numba import njit


@njit(inline="always")
def heard(tree: np.ndarray, node: int, sound: np.ndarray) -> int:
    """The sound of the node's last token, -1 for the root."""
    token = tree[node].token
    return sound[token] if token >= 0 else -1


@njit(inline="always")
def power_of_two(at_least: int) -> int:
    size = 1
    while size < at_least:
        size *= 2
    return size


@njit(inline="always")
def from_parent(
    tree: np.ndarray, node: int, sound: np.ndarray, p_blank: np.ndarray, total: np.ndarray
) -> float:
    """ln P of the alignments that the node's last token extends, if its parent is in the beam."""
    parent = tree[node].parent
    if parent < 0 or tree[parent].slot < 0:
        return -inf
    slot = tree[parent].slot
    repeats = heard(tree, parent, sound) == heard(tree, node, sound)
    return p_blank[slot] if repeats else total[slot]


@njit(nogil=True, cache=True)
def recombine(
    tree: np.ndarray,
    node: np.ndarray,
    sound: np.ndarray,
    p_blank: np.ndarray,
    p_token: np.ndarray,
    total: np.ndarray,
    n: int,
    inflow: np.ndarray,
    first_alike: np.ndarray,
    alike: np.ndarray,
) -> int:
    """Drops, of n prefixes with one last token, LM state and unfinished word, those that another
    one beats in both probabilities and in what their parents may still add to them; the number
    that is left.

    Whatever is appended adds the same to all of them. Room to work in: `inflow` and `alike` (the
    next prefix in the bucket) for each prefix, `first_alike` for a power of two of buckets.
    """
    first_alike[:] = -1
    for k in range(n):
        inflow[k] = from_parent(tree, node[k], sound, p_blank, total)
    for k in range(n):
        prefix = tree[node[k]]
        rank = prefix.lm + prefix.bonus
        last = heard(tree, node[k], sound)
        key = (prefix.state * 31 + prefix.place) * 31 + last
        bucket = key & (len(first_alike) - 1)
        other = first_alike[bucket]
        alike[k], first_alike[bucket] = other, k
        while other >= 0:
            rival = tree[node[other]]
            if (
                rival.slot >= 0  # not dropped
                and rival.state == prefix.state
                and rival.place == prefix.place
                and heard(tree, node[other], sound) == last
            ):
                ahead = rival.lm + rival.bonus - rank
                blank_ahead = ahead + p_blank[other] - p_blank[k]
                token_ahead = ahead + p_token[other] - p_token[k]
                inflow_ahead = ahead + inflow[other] - inflow[k]
                if not (blank_ahead < 0 or token_ahead < 0 or inflow_ahead < 0):
                    prefix.slot = -1
                    break
                if not (blank_ahead > 0 or token_ahead > 0 or inflow_ahead > 0):
                    rival.slot = -1
            other = alike[other]
    left = 0
    for k in range(n):
        if tree[node[k]].slot >= 0:
            node[left], p_blank[left], p_token[left] = node[k], p_blank[k], p_token[k]
            total[left] = total[k]
            left += 1
    return left
