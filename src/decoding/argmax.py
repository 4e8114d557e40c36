"""Best-path decoding: the most probable token of each frame, repeats merged, blanks removed.

The source is section 3.2 of Graves et al., "Connectionist Temporal Classification", ICML 2006.
"""

from __future__ import annotations

import torch
from torch import Tensor

from src.decoding.hypothesis import Hypothesis
from src.decoding.word_times import words_of_tokens
from src.text_encoder import CTCTextEncoder
from src.utils.masking import length_mask


class ArgmaxDecoder:
    """One hypothesis an utterance; its score is the log-probability of the best path."""

    def __init__(self, text_encoder: CTCTextEncoder, frame_seconds: float = 0.04) -> None:
        self.text_encoder = text_encoder
        self.frame_seconds = frame_seconds

    @torch.no_grad()
    def __call__(self, log_probs: Tensor, log_prob_length: Tensor) -> list[list[Hypothesis]]:
        """log_probs [B, T, V] and lengths [B] -> a list of one hypothesis for each of B."""
        log_prob, token = (x.cpu() for x in log_probs.max(dim=-1))  # [B, T] each
        length = log_prob_length.cpu()
        valid = length_mask(length, log_probs.shape[1])
        scores = log_prob.double().masked_fill(~valid, 0.0).sum(dim=1).tolist()
        run_starts = valid.clone()
        run_starts[:, 1:] &= token[:, 1:] != token[:, :-1]

        hypotheses = []
        for b, score in enumerate(scores):
            starts = run_starts[b].nonzero().squeeze(1)
            ends = torch.cat([starts[1:], length[b : b + 1]])[: len(starts)]
            kept = token[b, starts] != self.text_encoder.blank
            tokens = token[b, starts[kept]].tolist()
            frames, peaks = self._peaks(log_prob[b], starts[kept], ends[kept])
            words = words_of_tokens(tokens, frames, peaks, self.text_encoder, self.frame_seconds)
            text = self.text_encoder.decode(tokens)
            hypotheses.append([Hypothesis(text, score, score, 0.0, 0.0, tokens, frames, words)])
        return hypotheses

    @staticmethod
    def _peaks(log_prob: Tensor, starts: Tensor, ends: Tensor) -> tuple[list[int], list[float]]:
        """The most probable frame of each run [start, end) and its log-probability."""
        frames, peaks = [], []
        values = log_prob.tolist()
        for start, end in zip(starts.tolist(), ends.tolist()):
            frame = max(range(start, end), key=values.__getitem__)
            frames.append(frame)
            peaks.append(values[frame])
        return frames, peaks
