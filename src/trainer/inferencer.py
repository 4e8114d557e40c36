"""Recordings in, transcripts out, with a trained recogniser."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from src.datasets import BaseDataset, Collate, DurationBatchSampler
from src.datasets.tolerant import TolerantCollate, TolerantDataset
from src.decoding import Word
from src.metrics import RecognitionMetrics, update_summary, write_table
from src.trainer.distributed import all_gather, is_main, on_main, rank, world_size
from src.trainer.pretrained import Pretrained

logger = logging.getLogger(__name__)

TRANSCRIPTS_SHOWN = 10


class Inferencer:
    """Transcribes datasets into `save_dir/<split>/`.

    `transcripts.jsonl` has a line an utterance, in the dataset's order: its hypothesis from the
    first decoder, or the reason why there is none. `text/` has a file each. Where references
    exist, `predictions.csv` and `save_dir/summary.json` have every decoder's errors.

    Under `torchrun` each rank transcribes its share; what is written is the same.
    """

    def __init__(
        self,
        pretrained: Pretrained,
        metrics: RecognitionMetrics,
        save_dir: str | Path,
        max_batch_seconds: float = 120.0,
        num_workers: int = 1,
    ) -> None:
        self.pretrained = pretrained
        self.metrics = metrics
        self.save_dir = Path(save_dir)
        self.max_batch_seconds = max_batch_seconds
        self.num_workers = num_workers

    def transcribe(self, split: str, dataset: BaseDataset) -> tuple[dict[str, Any], list[dict]]:
        """The split's summary (see `RecognitionMetrics.summary`) and its failures."""
        folder = self.save_dir / split
        on_main(_remove_texts_of_earlier_call, folder)
        started = time.perf_counter()
        self.metrics.reset()
        records: dict[str, dict[str, Any]] = {}
        with torch.inference_mode():
            for batch, unreadable in tqdm(
                self._loader(dataset), split, disable=None if is_main() else True
            ):
                records.update({item["utterance_id"]: item for item in unreadable})
                if batch is not None:
                    batch = self.pretrained.process_batch(batch)
                    batch["hypotheses"] = self.metrics.update(batch)
                    records.update(self._write_texts(batch, folder / "text"))
        self.metrics.pool(all_gather)
        records = {name: record for part in all_gather(records) for name, record in part.items()}
        elapsed = time.perf_counter() - started

        in_order = [records[row["utterance_id"]] for row in dataset.index]
        transcribed = [record for record in in_order if "error" not in record]
        failures = [
            *getattr(dataset, "failures", []),
            *(record for record in in_order if "error" in record),
        ]
        seconds = sum(record["duration"] for record in transcribed)
        on_main(self._write_report, split, transcribed + failures)
        logger.info(
            "%s: %d recordings, %.1f minutes of audio in %.1f s (%.0fx real time), %d failed; "
            "see %s",
            *(split, len(transcribed), seconds / 60, elapsed, seconds / elapsed),
            *(len(failures), folder),
        )
        return self.metrics.summary(), failures

    def _write_report(self, split: str, lines: list[dict[str, Any]]) -> None:
        folder = self.save_dir / split
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "transcripts.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        summary = self.metrics.summary()
        if any("wer" in rates for rates in summary.values()):
            write_table(self.metrics.rows(), folder / "predictions.csv")
        update_summary(self.save_dir / "summary.json", split, summary)

    def _loader(self, dataset: BaseDataset) -> DataLoader:
        return DataLoader(
            TolerantDataset(dataset),
            batch_sampler=DurationBatchSampler(
                dataset,
                self.max_batch_seconds,
                shuffle=False,
                rank=rank(),
                world_size=world_size(),
            ),
            collate_fn=TolerantCollate(Collate(self.pretrained.text_encoder)),
            num_workers=self.num_workers,
        )

    def _write_texts(self, batch: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
        """One .txt an utterance; returns each utterance's line of transcripts.jsonl."""
        best = [n_best[0] for n_best in next(iter(batch["hypotheses"].values()))]
        records = {}
        for name, path, duration, reference, hypothesis in zip(
            *(batch[key] for key in ("utterance_id", "path", "duration", "text")), best
        ):
            file = folder / f"{name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(hypothesis.text + "\n", encoding="utf-8")
            records[name] = {
                "utterance_id": name,
                "path": path,
                "duration": round(duration, 3),
                "text": hypothesis.text,
                "score": hypothesis.score,
                "words": [_within(word, duration) for word in hypothesis.words],
                **({} if reference is None else {"reference": reference}),
            }
        return records


def _remove_texts_of_earlier_call(folder: Path) -> None:
    """They may be of other recordings."""
    if (folder / "transcripts.jsonl").exists():
        shutil.rmtree(folder / "text", ignore_errors=True)


def _within(word: Word, duration: float) -> dict[str, Any]:
    """The word as a dict, its times in ms; the last frame may reach beyond the recording."""
    line = asdict(word)
    for name in ("start", "end"):
        line[name] = round(min(line[name], duration), 3)
    return line
