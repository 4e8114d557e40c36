"""Where in time the tokens of a hypothesis lie: the best CTC path that spells them."""

from __future__ import annotations

from math import inf

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def ctc_viterbi(log_probs: np.ndarray, tokens: np.ndarray, blank: int) -> np.ndarray:
    """The frame of each token: the likeliest of those that the best path gives it.

    Args:
        log_probs: float32 [T, V], natural logarithms.
        tokens: int32 [U], without blanks; they fit into T frames.

    Returns:
        int32 [U], ascending.

    Source: the alignment graph of Graves et al., ICML 2006, figure 3, with max for sum.
    """
    T, U = len(log_probs), len(tokens)
    S = 2 * U + 1  # blank, token 0, blank, token 1, ..., blank
    path = np.empty((T, S), np.uint8)  # how many states back the path came from
    before = np.full(S, -inf)
    before[0] = 0.0
    now = np.empty(S)
    for t in range(T):
        row = log_probs[t]
        for s in range(S):
            best, back = before[s], 0
            if s > 0 and t > 0 and before[s - 1] > best:
                best, back = before[s - 1], 1
            skips = s % 2 == 1 and s > 1 and tokens[s // 2] != tokens[s // 2 - 1]
            if skips and t > 0 and before[s - 2] > best:
                best, back = before[s - 2], 2
            if t == 0:
                best = 0.0 if s < 2 else -inf
            now[s] = best + (row[blank] if s % 2 == 0 else row[tokens[s // 2]])
            path[t, s] = back
        before, now = now, before
    frames = np.zeros(U, np.int32)
    likeliest = np.full(U, -inf)
    s = S - 1 if U == 0 or before[S - 1] >= before[S - 2] else S - 2
    for t in range(T - 1, -1, -1):
        if s % 2 == 1 and log_probs[t, tokens[s // 2]] >= likeliest[s // 2]:
            frames[s // 2], likeliest[s // 2] = t, log_probs[t, tokens[s // 2]]
        s -= path[t, s]
    return frames
