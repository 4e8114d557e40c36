"""Binary heaps of indices, for numba kernels: `heap[:size]` has the lowest score on top."""

from __future__ import annotations

from math import inf

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def sift_down(heap: np.ndarray, score: np.ndarray, size: int, at: int) -> None:
    """Restores the order of a heap, the lowest score on top, after what is at `at` changed."""
    changed = heap[at]
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and score[heap[below + 1]] < score[heap[below]]:
            below += 1
        if score[heap[below]] >= score[changed]:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = changed


@njit(nogil=True, cache=True)
def sift_up(heap: np.ndarray, score: np.ndarray, at: int) -> None:
    """Restores the heap's order after a candidate was put at its end, `at`."""
    added = heap[at]
    while at > 0 and score[heap[(at - 1) // 2]] > score[added]:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = added


@njit(nogil=True, cache=True)
def heap_of_tokens(
    row: np.ndarray, blank: int, floor: float, heap: np.ndarray, cost: np.ndarray
) -> int:
    """Makes a heap of the tokens of at least `floor`, the most probable on top; their number."""
    size = 0
    for token in range(row.shape[0]):
        cost[token] = -row[token]
        if token != blank and row[token] >= floor and row[token] > -inf:
            heap[size] = token
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        sift_down(heap, cost, size, at)
    return size
