"""Log-probabilities of a made-up acoustic model for given transcripts, errors included.

utterances = simulate(["the cat sat"], CTCTextEncoder(), posteriors="peaky", seed=0)
for log_probs, length, texts in utterances.batches(32):
    decoder(log_probs, length)

Decoders can be tested and timed with it where there is no trained model. Each token is a point
in space, near the tokens that sound like it (`b` near `p`, `e` near `a`); the model hears the
point through Gaussian noise and answers with the posterior of what it heard. So it is wrong about
as often as it says it is, what it confuses is confusable, and a language model can mend it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from src.decoding.log_prob_set import LogProbSet
from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError

FRAME_SECONDS = 0.04
FRAMES_PER_CHARACTER = 1.7  # with SILENCE, LibriSpeech's 14 characters a second
SILENCE = 4  # blank frames before and after the utterance

# Ordinary English read as characters: argmax WER 45%, CER 13% (see tests/decoding).
NOISE = 0.225

FLAT_RUN = 2  # frames that a token holds at most
FLAT_SHARPNESS = 0.5  # by which log-probabilities are scaled

_ALIKE = ("aeiouy", "bp", "dt", "gkqc", "fv", "szxj", "mn", "lrw", "h", "'", " ▁")
_DIMENSIONS = 32  # of one letter
_KINSHIP = 0.8  # the share of a letter's point that it has in common with letters like it
_BLANK_DISTANCE = 1.0
_SPREAD = 0.25  # some utterances are clear, some are not: log-normal, deviation of the logarithm


def simulate(
    texts: Sequence[str],
    text_encoder: CTCTextEncoder,
    *,
    posteriors: str = "peaky",
    noise: float = NOISE,
    seed: int = 0,
) -> LogProbSet:
    """25 frames a second for each transcript; the same arguments give the same bits.

    Args:
        posteriors: `peaky`, as a trained CTC model's: a token has one frame, blanks the rest of
            its time, and nearly all the probability is on one or two tokens. `flat`, as an early
            checkpoint's: a token holds two frames where it has the time, and the probability is
            spread out.
        noise: median standard deviation, where 1 is the length of a letter's point.
    """
    if posteriors not in ("peaky", "flat"):
        raise UserError(f"posteriors is {posteriors!r}; choose peaky or flat")
    generator = np.random.default_rng(seed)
    points = _points(text_encoder)
    log_prior = np.full(len(points), np.log(0.5 / (len(points) - 1)))
    log_prior[text_encoder.blank] = np.log(0.5)
    sharpness = 1.0 if posteriors == "peaky" else FLAT_SHARPNESS
    log_probs = []
    for text in texts:
        runs = _runs(text_encoder, text, posteriors, generator)
        token, length = np.array(runs).T
        deviation = noise * np.exp(_SPREAD * generator.normal())
        heard = points[token] + deviation * generator.normal(size=(len(token), points.shape[1]))
        # -|heard - point|^2 / 2 without what is the same for every point
        closeness = heard @ points.T - (points**2).sum(axis=1) / 2
        logits = sharpness * (log_prior + closeness / deviation**2)
        frames = torch.from_numpy(logits.repeat(length, axis=0))
        log_probs.append(frames.log_softmax(dim=-1).float())
    return LogProbSet(log_probs, list(texts), FRAME_SECONDS)


def _runs(
    text_encoder: CTCTextEncoder, text: str, posteriors: str, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """(token, frames) one after another; what is heard in a run is heard once.

    A blank has runs of one frame: the model listens anew in each.
    """
    blank = (text_encoder.blank, 1)
    runs = [blank] * SILENCE
    for token in text_encoder.encode(text):
        mean = FRAMES_PER_CHARACTER * len(text_encoder.vocab[token])
        frames = 1 + int(generator.poisson(mean - 1))
        if token == runs[-1][0]:
            runs.append(blank)
        held = min(frames, FLAT_RUN) if posteriors == "flat" else 1
        runs += [(token, held)] + [blank] * (frames - held)
    return runs + [blank] * SILENCE


def _points(text_encoder: CTCTextEncoder) -> NDArray[np.float64]:
    """Where each token lies [V, D]: its letters' points one after another; the blank is apart."""
    generator = np.random.default_rng(0)  # one geometry for every seed of the noise
    letter_points = {}
    for letters in _ALIKE:
        common = _direction(generator)
        for letter in letters:
            own = _direction(generator)
            letter_points[letter] = _KINSHIP * common + (1 - _KINSHIP**2) ** 0.5 * own
    longest = max(map(len, text_encoder.vocab))
    points = np.zeros((len(text_encoder), longest * _DIMENSIONS + 1))
    for token, piece in enumerate(text_encoder.vocab):
        for place, letter in enumerate(piece):
            points[token, place * _DIMENSIONS :][:_DIMENSIONS] = letter_points[letter]
    points[text_encoder.blank, -1] = _BLANK_DISTANCE
    return points


def _direction(generator: np.random.Generator) -> NDArray[np.float64]:
    vector = generator.normal(size=_DIMENSIONS)
    return vector / np.linalg.norm(vector)
