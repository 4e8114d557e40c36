"""The n-gram language model as tensors: a whole batch is looked up at once, on any device.

lm = TorchLM(ngram_lm).to("cuda")
log_prob, state = lm(state, word)
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from src.decoding.ngram_lm import NGramLM


class TorchLM(nn.Module):
    """`src.decoding.ngram_lm.lookup` for tensors; natural logarithms.

    An n-gram is found by bisection among the ascending `state * words + word` of all n-grams.
    Every element takes `order` bisections, however soon it is found, so that nothing waits for
    the device.
    """

    key: Tensor  # int64 [E]
    log_prob: Tensor  # float32 [E]
    next_state: Tensor  # int64 [E]
    backoff: Tensor  # float32 [S]
    suffix: Tensor  # int64 [S]

    def __init__(self, lm: NGramLM) -> None:
        super().__init__()
        self.order = lm.order
        self.n_words = len(lm.words)
        self.start_state = lm.start_state
        row = np.repeat(np.arange(len(lm.arrays.suffix)), np.diff(lm.arrays.row_start))
        self._keep("key", torch.from_numpy(row * self.n_words + lm.arrays.word))
        self._keep("log_prob", torch.tensor(lm.arrays.log_prob))
        self._keep("next_state", torch.tensor(lm.arrays.next_state, dtype=torch.int64))
        self._keep("backoff", torch.tensor(lm.arrays.backoff))
        self._keep("suffix", torch.tensor(lm.arrays.suffix, dtype=torch.int64))

    def forward(self, state: Tensor, word: Tensor) -> tuple[Tensor, Tensor]:
        """ln P of each word in its state, and the state after it.

        Args:
            state: int64 [...].
            word: int64 [...], of the same shape.
        """
        weight = torch.zeros(state.shape, device=state.device)
        for _ in range(self.order - 1):
            _, found = self._find(state, word)
            weight = torch.where(found, weight, weight + self.backoff[state])
            state = torch.where(found, state, self.suffix[state])
        entry, _ = self._find(state, word)
        return weight + self.log_prob[entry], self.next_state[entry]

    def _find(self, state: Tensor, word: Tensor) -> tuple[Tensor, Tensor]:
        """Index of each n-gram and whether it is there."""
        key = state * self.n_words + word
        entry = torch.searchsorted(self.key, key).clamp_(max=len(self.key) - 1)
        return entry, self.key[entry] == key

    def _keep(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor, persistent=False)
