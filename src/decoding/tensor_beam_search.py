"""CTC prefix beam search with word n-gram fusion: the CUDA back end, in batched torch tensors.

The algorithm and its results are those of `prefix_beam_search`; all utterances of a batch and all
slots of their beams advance together, and nothing comes back from the device before the end.

    search = TensorBeamSearch(blank, n_best, pruning, tokens, lm, trie, words, device)
    parts, tokens, lengths = search(log_probs, log_prob_length)[0]     # of the first utterance

A prefix is known by a 64-bit hash of its tokens. Two different prefixes of one beam are taken for
parent and child with a probability of about 2^-60 a pair: with K = 50 and 250 frames 6e5 pairs an
utterance, so one utterance in 1e12. But for that the search is as exact as its twin.

Legend: B utterances, T frames, V tokens, K beam slots, N hypotheses.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.decoding.ngram_lm import NGramLM
from src.decoding.prefix_beam_search import Pruning
from src.decoding.prefix_words import WordScoring
from src.decoding.tensor_word_scoring import (
    HASH_FACTOR,
    PrefixWords,
    TensorWordScoring,
    random_codes,
)
from src.decoding.token_table import TokenTable
from src.decoding.word_trie import TrieArrays

EMPTY_PREFIX, NO_PARENT, NO_PREFIX = 0, 1, 2  # hashes


class Frame(NamedTuple):
    """One frame of the batch.

    Attributes:
        blank: float64 [B, 1], ln P of the blank.
        tokens: float64 [B, V], ln P of the others; -inf for the blank.
        barred: float64 [B, 1, V], -inf for tokens that extend no prefix, otherwise 0; or None.
        margin: float64 [B, 1], how much worse than the best a kept prefix may be; or None.
        idle: bool [B, 1], no prefix is extended (the blank is all but certain, or the end is past).
    """

    blank: Tensor
    tokens: Tensor
    barred: Tensor | None
    margin: Tensor | None
    idle: Tensor


class Beam(NamedTuple):
    """K prefixes of each utterance; where there are fewer, the rest are impossible.

    Attributes:
        p_blank, p_token: float64 [B, K], ln P of the alignments that end in a blank and of those
            that end in the last token.
        identity: int64 [B, K, 3], the prefix's hash, its parent's, and its last token (the blank
            for the empty prefix).
        words: None without words' scores.
    """

    p_blank: Tensor
    p_token: Tensor
    identity: Tensor
    words: PrefixWords | None


class TensorBeamSearch:
    """Takes what `prefix_beam_search` takes, once, and then batches."""

    def __init__(
        self,
        blank: int,
        n_best: int,
        pruning: Pruning,
        tokens: TokenTable,
        lm: NGramLM | None,
        trie: TrieArrays,
        words: WordScoring,
        device: torch.device,
    ) -> None:
        self.blank, self.n_best, self.pruning, self.device = blank, n_best, pruning, device
        self.scoring = TensorWordScoring(tokens, lm, trie, words, device) if words.active else None
        self.token_code = torch.from_numpy(random_codes(len(tokens.boundary))).to(device)
        K = pruning.beam_size
        self.not_before = torch.ones(K, K, dtype=torch.bool, device=device).triu()
        self.no_prefix = torch.tensor([NO_PREFIX, NO_PARENT, blank], device=device)

    @torch.no_grad()
    def __call__(self, log_probs: Tensor, log_prob_length: Tensor) -> list[tuple[np.ndarray, ...]]:
        """The best prefixes of each utterance.

        Args:
            log_probs: [B, T, V], natural logarithms, no NaN.
            log_prob_length: [B], in frames.

        Returns:
            For each utterance what `prefix_beam_search` returns: scores, float64 [N, 3]; tokens,
            int32 [sum of lengths]; lengths, int64 [N]; zeros, int64 [N], as no two words are spelt
            alike.
        """
        frames = self._frames(log_probs.to(self.device), log_prob_length.to(self.device))
        beam = self._start(len(log_probs))
        history = []
        for frame in frames:
            beam, choice = self._step(beam, frame)
            history.append(choice)
        parts = self._finish(beam)
        best = parts.sum(2).topk(min(self.n_best, parts.shape[1])).indices
        parts = parts.gather(1, best[..., None].expand(-1, -1, 3))
        choices = torch.stack(history) if history else best.new_empty(0, *parts.shape[:2])
        return _read_back(
            parts.cpu().numpy(),
            best.cpu().numpy(),
            choices.cpu().numpy(),
            log_probs.shape[2],
            self.blank,
        )

    def _frames(self, log_probs: Tensor, length: Tensor) -> list[Frame]:
        T = log_probs.shape[1]
        rows = log_probs.transpose(0, 1).double()  # [T, B, V]
        over = torch.arange(T, device=self.device)[:, None] >= length  # [T, B]
        # after an utterance's end certain blanks leave its beam as it is
        blank = rows[:, :, self.blank].masked_fill(over, 0.0)
        tokens = rows.masked_fill(over[..., None], -inf)
        tokens[:, :, self.blank] = -inf
        skipped = blank >= self.pruning.blank_skip
        idle = skipped | over
        barred: list[Tensor | None] = [None] * T
        if self.pruning.token_floor > -inf or self.pruning.blank_skip < inf:
            bar = (tokens < self.pruning.token_floor) | skipped[..., None]
            bar[:, :, self.blank] = False
            barred = list(torch.zeros_like(tokens).masked_fill(bar, -inf)[:, :, None])
        margin: list[Tensor | None] = [None] * T
        if self.pruning.beam_margin < inf:
            allowed = torch.full_like(blank, self.pruning.beam_margin)
            margin = list(allowed.masked_fill(idle, inf)[..., None])
        return list(map(Frame, blank[..., None], tokens, barred, margin, idle[..., None]))

    def _start(self, batch: int) -> Beam:
        shape = (batch, self.pruning.beam_size)
        p_blank = torch.full(shape, -inf, dtype=torch.float64, device=self.device)
        p_token = p_blank.clone()
        identity = self.no_prefix.repeat(*shape, 1)
        p_blank[:, 0] = 0.0
        identity[:, 0, 0] = EMPTY_PREFIX
        words = self.scoring.start(shape) if self.scoring else None
        return Beam(p_blank, p_token, identity, words)

    def _step(self, beam: Beam, frame: Frame) -> tuple[Beam, Tensor]:
        """The next beam, and the choices that made it: slot * V + token, int64 [B, K].

        The choice of the blank is that of the prefix itself.
        """
        K, V = beam.p_blank.shape[1], frame.tokens.shape[1]
        prefix, parent, last = beam.identity.unbind(2)
        total = torch.logaddexp(beam.p_blank, beam.p_token)
        of_last = frame.tokens.gather(1, last)

        # [B, K, V]: each prefix and each token; the same token again needs a blank between
        p = total[:, :, None] + frame.tokens[:, None]
        p.scatter_(2, last[:, :, None], (beam.p_blank + of_last)[:, :, None])
        by_choice = p.flatten(1)

        # an extension that is in the beam already goes to the slot that it has, from its parent's;
        # where the parent is in no slot, the empty prefix's blank stands for it: -inf
        has_parent, slot = (parent[:, :, None] == prefix[:, None]).max(2)
        own = torch.where(has_parent, torch.add(last, slot, alpha=V), self.no_prefix[2])
        stay_token = torch.logaddexp(beam.p_token + of_last, by_choice.gather(1, own))
        stay_blank = total + frame.blank
        by_choice.scatter_(1, own, -inf)
        p[:, :, self.blank] = torch.logaddexp(stay_blank, stay_token)

        score = p if frame.barred is None else p + frame.barred
        if self.scoring and beam.words:
            rank, spelling, node = self.scoring.extensions(beam.words)
            score = score + rank
        best, choice = score.flatten(1).topk(K)
        lost = best == -inf
        if frame.margin is not None:
            lost |= best < best[:, :1] - frame.margin

        slot, token = choice // V, choice % V
        grows = token != self.blank
        p[:, :, self.blank] = stay_token
        p_token = by_choice.gather(1, choice).masked_fill_(lost, -inf)
        p_blank = stay_blank.gather(1, slot).masked_fill_(lost | grows, -inf)

        same = beam.identity.gather(1, slot[:, :, None].expand(-1, -1, 3))
        longer_hash = torch.add(self.token_code[token], same[:, :, 0], alpha=HASH_FACTOR)
        longer = torch.stack([longer_hash, same[:, :, 0], token], 2)
        identity = torch.where(grows[:, :, None], longer, same)
        identity = torch.where(lost[:, :, None], self.no_prefix, identity)
        words = None
        if self.scoring and beam.words:
            spelling, node = (x.flatten(1).gather(1, choice) for x in (spelling, node))
            words = self.scoring.extended(beam.words, slot, token, spelling, node)
        beam = Beam(p_blank, p_token, identity, words)
        if self.pruning.recombine:
            beam = self._recombine(beam, frame)
        return beam, choice

    def _recombine(self, beam: Beam, frame: Frame) -> Beam:
        """Without the prefixes that another one with the same last token, LM state and unfinished
        word beats in both probabilities and in what their parents may still add to them: whatever
        is appended adds the same to both."""
        prefix, parent, last = beam.identity.unbind(2)
        has_parent, slot = (parent[:, :, None] == prefix[:, None]).max(2)
        repeats = last.gather(1, slot) == last
        total = torch.logaddexp(beam.p_blank, beam.p_token)
        inflow = torch.where(repeats, beam.p_blank.gather(1, slot), total.gather(1, slot))
        inflow = inflow.masked_fill(~has_parent, -inf)
        parts = torch.stack([beam.p_blank, beam.p_token, inflow], 2)  # [B, K, 3]
        alike = last[:, :, None] == last[:, None]  # [B, K, K]: a prefix and its rival
        if beam.words:
            node, state = beam.words.node, beam.words.state[:, :, 0]
            alike &= node[:, :, None] == node[:, None]
            alike &= state[:, :, None] == state[:, None]
            parts = parts + beam.words.parts[:, :, 0].sum(2, keepdim=True)
        beaten = alike & (parts[:, None] >= parts[:, :, None]).all(3)
        beaten &= ~(beaten.transpose(1, 2) & self.not_before)  # of two equals the first one stays
        lost = beaten.any(2) & ~frame.idle
        return beam._replace(
            p_blank=beam.p_blank.masked_fill(lost, -inf),
            p_token=beam.p_token.masked_fill(lost, -inf),
            identity=torch.where(lost[:, :, None], self.no_prefix, beam.identity),
        )

    def _finish(self, beam: Beam) -> Tensor:
        """Acoustic, LM and bonus parts of the beam's prefixes, float64 [B, K, 3]."""
        acoustic = torch.logaddexp(beam.p_blank, beam.p_token)
        lm = bonus = torch.zeros_like(acoustic)
        if self.scoring and beam.words:
            lm, bonus = self.scoring.end_of_sentence(beam.words, acoustic > -inf)
        return torch.stack([acoustic, lm, bonus], 2)


def _read_back(
    parts: np.ndarray, slot: np.ndarray, choices: np.ndarray, V: int, blank: int
) -> list[tuple[np.ndarray, ...]]:
    """Follows the choices [T, B, K] back from the slots [B, N] of the hypotheses."""
    path = np.empty((*slot.shape, len(choices)), np.int32)
    for t in range(len(choices) - 1, -1, -1):
        slot, path[:, :, t] = np.divmod(np.take_along_axis(choices[t], slot, 1), V)
    found: list[tuple[np.ndarray, ...]] = []
    for scores, tokens in zip(parts, path):
        possible = scores.sum(1) > -inf
        scores, tokens = scores[possible], tokens[possible]
        lengths = (tokens != blank).sum(1)
        found.append((scores, tokens[tokens != blank], lengths, np.zeros_like(lengths)))
    return found
