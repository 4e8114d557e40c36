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
    # the best paths so far into the states blank 0, token 0, blank 1, token 1, ..., blank U
    in_blank, in_token = np.full(U + 1, -inf), np.full(U, -inf)
    # bit 0: blank u was entered from token u - 1; bits 1, 2: token u from blank u, from token u - 1
    entered = np.empty((T, U + 1), np.uint8)
    for t in range(T):
        row = log_probs[t]
        first, last = max(0, U - (T - t)), min(U, t + 1)  # what can be reached and still end
        for u in range(last, first - 1, -1):
            before = in_token[u - 1] if u > 0 else -inf
            blank_before = in_blank[u] if t > 0 or u > 0 else 0.0
            back = 0
            if u < U:
                best = in_token[u]
                if blank_before > best:
                    best, back = blank_before, 2
                if u > 0 and before > best and tokens[u] != tokens[u - 1]:
                    best, back = before, 4
                in_token[u] = best + row[tokens[u]]
            if before > blank_before:
                blank_before, back = before, back + 1
            in_blank[u] = blank_before + row[blank]
            entered[t, u] = back
    frames = np.zeros(U, np.int32)
    likeliest = np.full(U, -inf)
    u, on_blank = U, True
    if U > 0 and in_token[U - 1] > in_blank[U]:
        u, on_blank = U - 1, False
    for t in range(T - 1, -1, -1):
        back = entered[t, u]
        if on_blank:
            if back & 1:
                u, on_blank = u - 1, False
            continue
        if log_probs[t, tokens[u]] >= likeliest[u]:
            frames[u], likeliest[u] = t, log_probs[t, tokens[u]]
        if back & 2:
            on_blank = True
        elif back & 4:
            u -= 1
    return frames
