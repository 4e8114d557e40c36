"""Corpus-level rates, shared hypotheses and the table, with decoders of known output."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import pytest
import torch

from src.metrics.bootstrap import bootstrap_interval
from src.metrics.recognition_metrics import RecognitionMetrics
from src.metrics.table_file import write_table


@dataclass
class Said:
    text: str
    score: float = -1.0


class Scripted:
    """Decodes to the texts it was given, in order, with a worse second hypothesis each."""

    def __init__(self, *texts: str, seconds: float = 0.0) -> None:
        self.texts = list(texts)
        self.seconds = seconds
        self.calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __call__(self, log_probs: torch.Tensor, log_prob_length: torch.Tensor) -> list[list[Said]]:
        self.calls.append((log_probs, log_prob_length))
        time.sleep(self.seconds)
        best, self.texts = self.texts[: len(log_probs)], self.texts[len(log_probs) :]
        return [[Said(text), Said("something else entirely", -9.0)] for text in best]


def batch_of(*references: str | None, first: int = 0) -> dict[str, Any]:
    count = len(references)
    return {
        "log_probs": torch.zeros(count, 5, 3),
        "log_prob_length": torch.full((count,), 5),
        "text": list(references),
        "utterance_id": [f"u{first + i}" for i in range(count)],
        "path": [f"audio/u{first + i}.wav" for i in range(count)],
        "duration": [2.5] * count,
    }


def test_corpus_rate_is_not_the_mean_of_utterance_rates() -> None:
    metrics = RecognitionMetrics({"argmax": Scripted("b", "a b c d e f g h i")})
    metrics.update(batch_of("a", "a b c d e f g h i"))
    summary = metrics.summary()["argmax"]
    assert summary["wer"] == 0.1  # one error in ten words; the mean of 1/1 and 0/9 is 0.5
    assert summary["cer"] == pytest.approx(1 / 18)
    assert [row["wer"] for row in metrics.rows()] == [1.0, 0.0]


def test_batches_add_up_to_jiwers_corpus_figures() -> None:
    references = ["the cat sat", "on the mat", "", "and slept"]
    predictions = ["the cat", "on a mat mat", "um", "and slept"]
    metrics = RecognitionMetrics({"beam": Scripted(*predictions)})
    metrics.update(batch_of(*references[:3]))
    metrics.update(batch_of(*references[3:], first=3))

    summary = metrics.summary()["beam"]
    words = jiwer.process_words(references, predictions)
    assert summary["wer"] == pytest.approx(words.wer)
    assert summary["cer"] == pytest.approx(jiwer.cer(references, predictions))
    assert summary["words"] == 8
    assert summary["utterances"] == 4
    assert (summary["substitutions"], summary["deletions"], summary["insertions"]) == (
        words.substitutions,
        words.deletions,
        words.insertions,
    )
    assert summary["wer_interval"] == list(bootstrap_interval([1, 2, 1, 0], [3, 3, 0, 2]))
    assert summary["audio_seconds"] == 10.0


def test_each_decoder_runs_once_a_batch_on_the_models_output() -> None:
    decoders = {"argmax": Scripted("a", "b"), "beam": Scripted("a", "c")}
    metrics = RecognitionMetrics(decoders)
    batch = batch_of("a", "b")
    metrics.update(batch)
    metrics.summary()
    metrics.rows()
    for decoder in decoders.values():
        [(log_probs, length)] = decoder.calls
        assert log_probs is batch["log_probs"]
        assert length is batch["log_prob_length"]
    assert metrics.summary()["argmax"]["wer"] == 0.0
    assert metrics.summary()["beam"]["wer"] == 0.5


def test_decoding_time_is_each_decoders_own() -> None:
    metrics = RecognitionMetrics({"fast": Scripted("a"), "slow": Scripted("a", seconds=0.2)})
    metrics.update(batch_of("a"))
    summary = metrics.summary()
    assert 0.2 <= summary["slow"]["decode_seconds"] < 0.4
    assert summary["fast"]["decode_seconds"] < 0.1


def test_utterances_without_reference_are_decoded_but_not_scored() -> None:
    metrics = RecognitionMetrics({"argmax": Scripted("heard", "a", "x")})
    metrics.update(batch_of(None, "a", None))
    summary = metrics.summary()["argmax"]
    assert summary["wer"] == 0.0
    assert summary["utterances"] == 1
    assert summary["audio_seconds"] == 7.5
    first = metrics.rows()[0]
    assert first["prediction"] == "heard"
    assert first["reference"] is first["wer"] is first["insertions"] is None


def test_no_reference_at_all_gives_no_rate() -> None:
    metrics = RecognitionMetrics({"argmax": Scripted("heard")})
    metrics.update(batch_of(None))
    summary = metrics.summary()["argmax"]
    assert summary["utterances"] == 0
    assert "wer" not in summary


def test_reset_forgets() -> None:
    metrics = RecognitionMetrics({"argmax": Scripted("wrong", "a")})
    metrics.update(batch_of("a"))
    metrics.reset()
    assert metrics.rows() == []
    metrics.update(batch_of("a"))
    assert metrics.summary()["argmax"]["wer"] == 0.0
    assert metrics.summary()["argmax"]["utterances"] == 1


def test_a_decoder_that_loses_an_utterance_is_an_error() -> None:
    metrics = RecognitionMetrics({"argmax": Scripted("only one")})
    with pytest.raises(ValueError, match=r"zip\(\)"):
        metrics.update(batch_of("a", "b"))


def test_table_on_disk(tmp_path: Path) -> None:
    metrics = RecognitionMetrics({"argmax": Scripted("a c", "um"), "beam": Scripted("a b", "x")})
    metrics.update(batch_of("a b", None))
    path = tmp_path / "new" / "predictions.csv"
    write_table(metrics.rows(), path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["utterance_id"], row["decoder"], row["prediction"]) for row in rows] == [
        ("u0", "argmax", "a c"),
        ("u0", "beam", "a b"),
        ("u1", "argmax", "um"),
        ("u1", "beam", "x"),
    ]
    assert rows[0] == {
        "utterance_id": "u0",
        "path": "audio/u0.wav",
        "duration": "2.5",
        "reference": "a b",
        "decoder": "argmax",
        "prediction": "a c",
        "wer": "0.5",
        "cer": str(1 / 3),
        "substitutions": "1",
        "deletions": "0",
        "insertions": "0",
        "score": "-1.0",
    }
    assert rows[2]["wer"] == rows[2]["reference"] == ""


def test_summary_is_strict_json() -> None:
    metrics = RecognitionMetrics({"argmax": Scripted("words in silence")})
    metrics.update(batch_of(""))
    text = json.dumps(metrics.summary(), allow_nan=False)
    assert json.loads(text)["argmax"]["wer"] == 3.0
