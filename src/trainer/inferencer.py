"""Recordings in, transcripts out, with a trained recogniser."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from tqdm import tqdm

from src.datasets import BaseDataset, Collate, DurationBatchSampler
from src.datasets.tolerant import TolerantCollate, TolerantDataset
from src.decoding import Hypothesis
from src.decoding.checks import warn_of_phonemes
from src.metrics import RecognitionMetrics, update_summary, write_table
from src.report import write_report
from src.trainer.backends import AnyPretrained
from src.trainer.distributed import all_gather, is_main, on_main, rank, world_size
from src.trainer.journal import Journal, finish_journal, open_journal
from src.trainer.recognizer import Recognizer
from src.trainer.transcript import Record, Transcript
from src.trainer.transcript_files import check_formats, write_files
from src.utils.audio_stream import AudioFile, AudioSource, Waveform
from src.utils.errors import UserError

logger = logging.getLogger(__name__)


class Inferencer:
    """Transcribes datasets into `save_dir/<split>/`, which is written as recordings are finished.

    `transcripts.jsonl` has a line an utterance: its hypothesis from the first decoder (and what
    the `others` say, where there are several), or the reason why there is none. They come in the
    dataset's order once all are done. `text/` has a file each, and so have `srt/`, `vtt/` and
    `ctm/`, where `formats` name them. `save_dir/summary.json` has how many, how long and how fast;
    where references exist, it has every decoder's errors, and `predictions.csv` each utterance's.
    `report.html` is all of it for people: sorted, searched, compared and listened to.

    Recordings up to `window_seconds` are heard whole, in batches; longer ones in windows (see
    `src.trainer.windows`). A second call goes on where the first stopped (see
    `src.trainer.journal`), unless `resume` is False.

    Under `torchrun` each rank transcribes its share; what is written is the same.

    Args:
        decoders: what the metrics' decoders were built from, in plain values; by this a second
            call knows them again.
    """

    def __init__(
        self,
        pretrained: AnyPretrained,
        metrics: RecognitionMetrics,
        save_dir: str | Path,
        max_batch_seconds: float = 120.0,
        num_workers: int = 1,
        window_seconds: float = 30.0,
        overlap_seconds: float = 6.0,
        formats: Sequence[str] = (),
        resume: bool = True,
        decoders: Mapping[str, Any] | None = None,
    ) -> None:
        check_formats(formats)
        warn_of_phonemes(pretrained.text_encoder, metrics.decoders.values())
        self.pretrained = pretrained
        self.metrics = metrics
        self.recognizer = Recognizer(
            pretrained, metrics.decode, window_seconds, overlap_seconds, max_batch_seconds
        )
        self.save_dir = Path(save_dir)
        self.max_batch_seconds = max_batch_seconds
        self.num_workers = num_workers
        self.formats = list(formats)
        self.resume = resume
        self.settings = {
            "model": pretrained.fingerprint,
            "decoder": decoders if decoders is not None else list(metrics.decoders),
            "window": [window_seconds, overlap_seconds],
        }

    def transcribe(self, split: str, dataset: BaseDataset) -> tuple[dict[str, Any], list[Record]]:
        """The split's summary and its failures.

        The summary has `recordings` (how many, how long, how fast) beside what
        `RecognitionMetrics.summary` says of each decoder.
        """
        folder = self.save_dir / split
        started = time.perf_counter()
        self.metrics.reset()
        done = on_main(open_journal, folder, self.settings, dataset, self.resume)
        records = self._take_over(done, dataset, folder) if is_main() else {}
        left = [
            position
            for position, row in enumerate(dataset.index)
            if row["utterance_id"] not in done
        ]
        with (
            Journal(folder, rank()) as journal,
            tqdm(total=len(left), desc=split, disable=None if is_main() else True) as progress,
        ):
            for finished in self._transcribed(dataset, left):
                for record in finished:
                    if "error" not in record:
                        write_files(record, folder, self.formats)
                journal.write(finished)
                records.update({record["utterance_id"]: record for record in finished})
                progress.update(len(finished) * world_size())
        self.metrics.pool(all_gather)
        records = {name: record for part in all_gather(records) for name, record in part.items()}
        in_order = [records[row["utterance_id"]] for row in dataset.index]
        for failure in sorted(getattr(dataset, "failures", []), key=lambda row: row["position"]):
            without_position = {key: failure[key] for key in ("utterance_id", "path", "error")}
            in_order.insert(failure["position"], without_position)
        new = [record for record in in_order if record["utterance_id"] not in done]
        recordings = _recordings(in_order, new, time.perf_counter() - started)
        summary = {**self.metrics.summary(), "recordings": recordings}
        on_main(self._finish, split, in_order, summary)
        return summary, [record for record in in_order if "error" in record]

    def _finish(self, split: str, records: list[Record], summary: dict[str, Any]) -> None:
        """Writes what is of all the records together, in their order."""
        folder = self.save_dir / split
        finish_journal(folder, records)
        if any("wer" in rates for rates in summary.values()):
            write_table(self.metrics.rows(), folder / "predictions.csv")
        update_summary(self.save_dir / "summary.json", split, summary)
        decoders = {name: summary[name] for name in self.metrics.decoders}
        write_report(records, decoders, folder / "report.html", split)

    def _transcribed(self, dataset: BaseDataset, left: list[int]) -> Iterator[list[Record]]:
        """The records of this rank's share, as they are finished: a batch, or a long recording."""
        longest = self.recognizer.window_seconds
        durations = dataset.durations
        for batch, unreadable in self._loader(
            dataset, [position for position in left if durations[position] <= longest]
        ):
            if unreadable:
                yield unreadable
            if batch is not None:
                n_bests = self.recognizer.batch(batch)
                best = {
                    name: [n_best[0] for n_best in of_batch] for name, of_batch in n_bests.items()
                }
                yield self._records(best, batch)
        long = [position for position in left if durations[position] > longest]
        for position in long[rank() :: world_size()]:
            yield [self._long(dataset, position)]

    def _long(self, dataset: BaseDataset, position: int) -> Record:
        row = dataset.index[position]
        try:
            best, duration = self.recognizer.recording(_source(dataset, position))
        except UserError as error:
            return {**{key: row[key] for key in ("path", "utterance_id")}, "error": str(error)}
        batch = {key: [row[key]] for key in ("utterance_id", "path", "text")}
        [record] = self._records(
            {name: [hypothesis] for name, hypothesis in best.items()},
            {**batch, "duration": [duration]},
        )
        return record

    def _records(self, best: dict[str, list[Hypothesis]], batch: dict[str, Any]) -> list[Record]:
        """Lines of transcripts.jsonl, from each decoder's hypotheses of the batch's utterances."""
        self.metrics.add(
            {name: [[hypothesis] for hypothesis in found] for name, found in best.items()}, batch
        )
        first, *others = best
        records = []
        for position, hypothesis in enumerate(best[first]):
            reference = batch["text"][position]
            record = {
                "utterance_id": batch["utterance_id"][position],
                "path": batch["path"][position],
                **Transcript.of(hypothesis, batch["duration"][position]).record(),
            }
            if others:
                record["others"] = {name: _said(best[name][position]) for name in others}
            records.append(record if reference is None else {**record, "reference": reference})
        return records

    def _take_over(
        self, done: dict[str, Record], dataset: BaseDataset, folder: Path
    ) -> dict[str, Record]:
        """Records of an earlier call, with this call's references and formats."""
        first, *others = self.metrics.decoders
        taken = {}
        for row in dataset.index if done else ():
            if row["utterance_id"] not in done:
                continue
            record = {**done[row["utterance_id"]], "reference": row["text"]}
            said = {first: record, **record.get("others", {})}
            self.metrics.add(
                {name: [[_hypothesis(said[name])]] for name in (first, *others)},
                {
                    **{key: [row[key]] for key in ("utterance_id", "path", "text")},
                    "duration": [record["duration"]],
                },
                decoded_here=False,
            )
            if record["reference"] is None:
                del record["reference"]
            write_files(record, folder, self.formats, missing_only=True)
            taken[record["utterance_id"]] = record
        return taken

    def _loader(self, dataset: BaseDataset, positions: list[int]) -> Iterable[Any]:
        if not positions:
            return ()
        tolerant = TolerantDataset(dataset, positions)
        return DataLoader(
            tolerant,
            batch_sampler=DurationBatchSampler(
                tolerant,
                self.max_batch_seconds,
                shuffle=False,
                rank=rank(),
                world_size=world_size(),
            ),
            collate_fn=TolerantCollate(Collate(self.pretrained.text_encoder)),
            num_workers=self.num_workers,
        )


def _source(dataset: BaseDataset, position: int) -> AudioSource:
    row = dataset.index[position]
    if "packed" in row:
        return Waveform(dataset[position]["audio"], dataset.sample_rate)
    return AudioFile(row["path"])


def _said(hypothesis: Hypothesis) -> dict[str, Any]:
    score = float(hypothesis.score)
    return {"text": hypothesis.text, "score": round(score, 4) if math.isfinite(score) else None}


def _hypothesis(said: Mapping[str, Any]) -> Hypothesis:
    score = -math.inf if said["score"] is None else said["score"]
    return Hypothesis(said["text"], score, score)


def _recordings(records: list[Record], new: list[Record], seconds: float) -> dict[str, Any]:
    """Counts over all records; time and speed of this call, which heard the `new` ones."""
    failed = sum("error" in record for record in records)
    heard = sum(record.get("duration", 0.0) for record in new)
    return {
        "transcribed": len(records) - failed,
        "failed": failed,
        "done_before": len(records) - len(new),
        "audio_seconds": round(heard, 3),
        "seconds": round(seconds, 3),
        # seconds of work for a second of audio: below 1 is faster than speech
        "real_time_factor": round(seconds / heard, 5) if heard else None,
    }
