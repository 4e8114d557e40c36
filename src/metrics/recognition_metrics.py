"""WER and CER of one or several decoders over an evaluation set.

metrics = RecognitionMetrics({"argmax": argmax, "beam": beam_search})
for batch in batches:                  # with the model's log_probs in it
    metrics.update(batch)
metrics.summary()["argmax"]["wer"]     # corpus level, a fraction
write_table(metrics.rows(), run_dir / "predictions.csv")

Every decoder runs once per batch; WER, CER, their counts and the table share its hypotheses.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from src.metrics.error_rate import ErrorCounts, character_errors, word_errors
from src.metrics.rates import error_rates

# (log_probs [B, T, V], log_prob_length [B]) -> for each utterance its hypotheses, best first.
# A hypothesis is anything with `.text` and `.score`, so metrics need not import decoding.
Decoder = Callable[[Tensor, Tensor], list[list[Any]]]


@dataclass(frozen=True)
class UtteranceResult:
    """The best hypothesis of one decoder for one utterance; errors only where text is known."""

    utterance_id: str
    path: str
    duration: float
    reference: str | None
    prediction: str
    score: float
    words: ErrorCounts | None
    characters: ErrorCounts | None


class RecognitionMetrics:
    """Decodes batches with named decoders and keeps what each got right and wrong.

    Args:
        decoders: name -> decoder, see `Decoder`. The name is the key in `summary()`.
    """

    def __init__(self, decoders: Mapping[str, Decoder]) -> None:
        self.decoders = dict(decoders)
        self.reset()

    def reset(self) -> None:
        self._results: dict[str, list[UtteranceResult]] = {name: [] for name in self.decoders}
        self._decode_seconds: dict[str, float] = defaultdict(float)
        self._decoded_seconds = 0.0

    def update(self, batch: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
        """Decode a batch with every decoder and score it where it has references.

        Args:
            batch: `log_probs` [B, T, V], `log_prob_length` [B], and lists of B: `text` (None
                where there is no reference), `utterance_id`, `path`, `duration` in seconds.

        Returns:
            Each decoder's hypotheses: name -> for each of B, best first.
        """
        n_bests = self.decode(batch["log_probs"], batch["log_prob_length"])
        self.add(n_bests, batch)
        return n_bests

    def decode(self, log_probs: Tensor, log_prob_length: Tensor) -> dict[str, list[list[Any]]]:
        """Each decoder's hypotheses of log_probs [B, T, V], lengths [B]; its time is counted."""
        n_bests = {}
        for name, decoder in self.decoders.items():
            _wait_for(log_probs.device)  # or the model's own time would count as decoding
            started = time.perf_counter()
            n_bests[name] = decoder(log_probs, log_prob_length)
            self._decode_seconds[name] += time.perf_counter() - started
        return n_bests

    def add(
        self,
        n_bests: Mapping[str, list[list[Any]]],
        batch: Mapping[str, Any],
        decoded_here: bool = True,
    ) -> None:
        """Scores hypotheses, best first, of a batch's utterances (`text`, `utterance_id`, ...).

        Those of an earlier call (`decoded_here` False) took no time of this one's.
        """
        for name in self.decoders:
            self._results[name] += [
                _score(best_first[0], **utterance)
                for best_first, utterance in zip(n_bests[name], _utterances(batch), strict=True)
            ]
        if decoded_here:
            self._decoded_seconds += sum(batch["duration"])

    def pool(self, gather: Callable[[Any], list[Any]]) -> None:
        """Puts together what several processes have; `gather` gives each one's part to all.

        Decoding seconds are then those of all processes together.
        """
        parts = gather((self._results, dict(self._decode_seconds), self._decoded_seconds))
        self.reset()
        for results, seconds, decoded_seconds in parts:
            self._decoded_seconds += decoded_seconds
            for name in self.decoders:
                self._results[name] += results[name]
                self._decode_seconds[name] += seconds.get(name, 0.0)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Corpus-level figures of each decoder, ready for JSON; the order of updates is no matter.

        Rates are summed edits over summed reference length (not a mean of utterances' rates), as
        fractions, and cover the `utterances` that have a reference; they are absent when none
        has. `decode_seconds` and `audio_seconds` cover everything that was decoded.
        """
        return {name: self._summary_of(name) for name in self.decoders}

    def _summary_of(self, name: str) -> dict[str, Any]:
        results = self._in_order(name)
        timing = {
            "decode_seconds": round(self._decode_seconds[name], 3),
            "audio_seconds": round(self._decoded_seconds, 3),
        }
        words = [result.words for result in results if result.words is not None]
        characters = [result.characters for result in results if result.characters is not None]
        if not words:
            return {"utterances": 0, **timing}
        return {**error_rates(words, characters), **timing}

    def rows(self) -> list[dict[str, Any]]:
        """One dict per utterance and decoder, by utterance, then in the order of the decoders.

        Errors are None where there was no reference. Edit counts are in words.
        """
        names = list(self.decoders)
        return [
            _row(name, result)
            for of_one_utterance in zip(*map(self._in_order, names))
            for name, result in zip(names, of_one_utterance)
        ]

    def _in_order(self, name: str) -> list[UtteranceResult]:
        """By utterance: batches come in another order from another number of processes."""
        return sorted(self._results[name], key=lambda result: (result.utterance_id, result.path))


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _utterances(batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The per-utterance fields of a batch, one dict each."""
    columns = batch["utterance_id"], batch["path"], batch["duration"], batch["text"]
    return [
        {"utterance_id": utterance_id, "path": path, "duration": duration, "reference": text}
        for utterance_id, path, duration, text in zip(*columns, strict=True)
    ]


def _score(
    hypothesis: Any, utterance_id: str, path: str, duration: float, reference: str | None
) -> UtteranceResult:
    prediction = hypothesis.text
    return UtteranceResult(
        utterance_id=utterance_id,
        path=path,
        duration=duration,
        reference=reference,
        prediction=prediction,
        score=float(hypothesis.score),
        words=None if reference is None else word_errors(reference, prediction),
        characters=None if reference is None else character_errors(reference, prediction),
    )


def _row(decoder: str, result: UtteranceResult) -> dict[str, Any]:
    words, characters = result.words, result.characters
    return {
        "utterance_id": result.utterance_id,
        "path": result.path,
        "duration": result.duration,
        "reference": result.reference,
        "decoder": decoder,
        "prediction": result.prediction,
        "wer": None if words is None else words.rate,
        "cer": None if characters is None else characters.rate,
        "substitutions": None if words is None else words.substitutions,
        "deletions": None if words is None else words.deletions,
        "insertions": None if words is None else words.insertions,
        "score": result.score,
    }
