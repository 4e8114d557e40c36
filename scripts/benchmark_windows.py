"""What windows cost: whole chapters in windows of several lengths, and utterance by utterance.

    python scripts/benchmark_windows.py saved/RUN --data data/LibriSpeech/dev-clean --json OUT
    python scripts/benchmark_windows.py saved/RUN --data data/LibriSpeech/dev-clean --json OUT \\
        --windows 10:2 20:4 30:6 30:2 60:6 --decoder beam_search_lm --lm LM.arpa

The utterances of each chapter are joined in their order into one recording. Its transcript by
windows of SECONDS:OVERLAP is held against the joined references; 0 stands for the utterances as
they are, each heard whole, which is what training evaluates. OUT has a row for each: WER with its
95% interval over chapters, seconds, and real-time factor.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.datasets import LibriSpeechDataset
from src.metrics import ErrorCounts, interval_of, word_errors
from src.trainer.device import choose_device
from src.trainer.hub import run_path
from src.trainer.pretrained import Pretrained, load_pretrained
from src.trainer.transcriber import Transcriber
from src.utils.entry_point import entry_point

Chapter = list[dict[str, Any]]  # items of a dataset, in their order


@entry_point
def main() -> None:
    args = parse_arguments()
    pretrained = load_pretrained(args.run, choose_device(args.device))
    rate = pretrained.transforms.log_mel.sample_rate
    found = chapters(args.data, rate, args.chapters)
    seconds = sum(len(item["audio"]) for items in found for item in items) / rate
    print(f"{len(found)} chapters, {seconds / 3600:.2f} h")
    print(
        f"{'window':>8} {'overlap':>8} {'WER %':>8} {'95% interval':>16} {'real-time factor':>17}"
    )
    results = []
    for window, overlap in args.windows:
        start = time.perf_counter()
        counts = score(pretrained, found, window, overlap, args)
        took = time.perf_counter() - start
        low, high = interval_of(counts)
        wer = sum(counts, start=ErrorCounts()).rate
        name = f"{window:g} s" if window else "none"
        interval = f"{100 * low:.2f} - {100 * high:.2f}"
        print(
            f"{name:>8} {overlap:>6g} s {100 * wer:8.2f} {interval:>16} {took / seconds:17.4f}",
            flush=True,
        )
        results.append(
            {
                "window_seconds": window,
                "overlap_seconds": overlap,
                "wer": wer,
                "wer_interval": [low, high],
                "seconds": took,
                "real_time_factor": took / seconds,
            }
        )
    args.json.parent.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in vars(args).items() if key != "json"}
    content = {"settings": settings, "audio_seconds": seconds, "results": results}
    args.json.write_text(json.dumps(content, indent=2, default=str) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", metavar="RUN_DIR", type=run_path, help="run folder, or hf://USER/REPO")
    add("--data", type=Path, required=True, help="folder of a part in LibriSpeech's layout")
    add("--json", metavar="OUT", type=Path, required=True, help="file to write")
    windows = ["0", "10:2", "15:3", "20:4", "30:6", "60:6"]
    add("--windows", metavar="SECONDS[:OVERLAP]", type=window, nargs="+", default=windows)
    add("--chapters", type=int, help="the first so many; default: all")
    add("--decoder", default="argmax", help="of configs/decoder; default: argmax")
    add("--lm", help="ARPA file, for the decoders that take one")
    add("--device", default="auto")
    args = parser.parse_args()
    args.windows = [window(w) if isinstance(w, str) else w for w in args.windows]
    return args


def window(text: str) -> tuple[float, float]:
    """30:6 -> (30, 6); without an overlap it is a fifth."""
    seconds, _, overlap = text.partition(":")
    return float(seconds), float(overlap) if overlap else float(seconds) / 5


def chapters(part: Path, rate: int, limit: int | None) -> list[Chapter]:
    dataset = LibriSpeechDataset(part.name, str(part.parent), download=False, sample_rate=rate)
    by_chapter: defaultdict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(dataset.index):
        by_chapter[row["utterance_id"].rpartition("-")[0]].append(position)
    return [
        [dataset[position] for position in positions]
        for positions in tqdm(list(by_chapter.values())[:limit], "chapters", disable=None)
    ]


def score(
    pretrained: Pretrained,
    found: list[Chapter],
    window_seconds: float,
    overlap_seconds: float,
    args: argparse.Namespace,
) -> list[ErrorCounts]:
    """Errors of each chapter."""
    sizes = {"window_seconds": window_seconds, "overlap_seconds": overlap_seconds}
    if not window_seconds:
        sizes = {"window_seconds": 600.0, "overlap_seconds": 6.0}
    options = {"lm": args.lm} if args.lm else {}
    transcriber = Transcriber(pretrained, args.decoder, **sizes, **options)
    rate = pretrained.transforms.log_mel.sample_rate
    counts = []
    for items in found:
        waveforms = [item["audio"] for item in items]
        recordings = [torch.cat(waveforms)] if window_seconds else waveforms
        text = " ".join(transcriber(recording, rate).text for recording in recordings)
        counts.append(word_errors(" ".join(item["text"] for item in items), text))
    return counts


if __name__ == "__main__":
    main()
