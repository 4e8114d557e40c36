"""Does data wait? FLAC against packed PCM: reading, the loader, and the wait inside a training.

    python scripts/benchmark_data.py data/LibriSpeech/train-clean-100 --hours 5 --json OUT
    python scripts/benchmark_data.py data/LibriSpeech/train-clean-5 --steps 100 --json OUT

The first --hours of PART are written as 16-bit FLAC, whatever format they have, and packed, both
into a temporary folder. Then, the two forms in turns, the median of --rounds:

    reading    hours of audio a second, one process on one thread, shuffled; with the files in the
               page cache, and after they were dropped from it (a hypervisor or a disk controller
               may still hold them)
    loading    the same through a DataLoader: durations to batches, padding, characters, and the way
               from the workers to the main process; a pass without workers and with each --workers
    feeding    one epoch of a loop that takes --pace hours a second if it never waits, as a GPU
               would (it sleeps instead, and a thread fetches, as the one that pins memory does):
               share of the time spent waiting, after the first batch
    training   `python train.py model=...` for --steps: the same share, as the training logs it

OUT has `settings` and `results`: rows with `what`, `form` (flac or packed), `workers`, `cache`,
`hours_per_second`, and where it was measured `data_wait_share`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.datasets import BaseDataset, Collate, DurationBatchSampler, LibriSpeechDataset, read_audio
from src.datasets.librispeech_index import librispeech_index, part_fingerprint
from src.datasets.packed import SAMPLE_RATE, open_shard, pack_folder
from src.datasets.packed_writer import Source, write_pack
from src.text_encoder import CTCTextEncoder
from src.utils.cores import available_cores
from src.utils.entry_point import entry_point
from src.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
PART = "part"
FORMS = {"flac": False, "packed": True}


@entry_point
def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(1)
    if args.work:
        args.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        root = Path(work) / "LibriSpeech"
        hours, packing_seconds = prepare(args.part, root, args.hours)
        print(f"{hours:.2f} h, packed in {packing_seconds:.1f} s on one core")
        results = [{"what": "packing", "hours_per_second": hours / packing_seconds}]
        results += measure_reading(root, hours, args.rounds)
        results += measure_loading(root, hours, args)
        if args.steps:
            results += [train(Path(work), form, args) for form in FORMS]
    settings = {key: value for key, value in vars(args).items() if key != "json"}
    settings |= {"hours": hours, "cores": available_cores(), "torch": torch.__version__}
    settings |= {"machine": platform.processor() or platform.machine()}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(
        json.dumps({"settings": settings, "results": results}, indent=2, default=str) + "\n"
    )
    print_table(results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("part", metavar="PART", type=Path, help="a folder in LibriSpeech's layout")
    add("--json", metavar="OUT", type=Path, required=True, help="file to write")
    add("--hours", type=float, default=5.0, help="of audio; default: 5")
    add("--rounds", type=int, default=3, help="median of so many; default: 3")
    add(
        "--workers",
        type=int,
        nargs="+",
        default=list(dict.fromkeys([1, available_cores()])),
        help="default: 1 and as many as there are cores",
    )
    add("--pace", type=float, default=2.0, help="hours a second to feed; default: 2")
    add("--batch-seconds", type=float, default=320, help="of a batch; default: 320")
    add("--steps", type=int, default=0, help="of the trainings; default: 0, no training")
    add("--model", default="conformer_tiny", help="of the trainings; default: conformer_tiny")
    add("--train-workers", type=int, default=1, help="of the trainings; default: 1")
    add("--work", metavar="DIR", type=Path, help="where the temporary folder is made")
    args = parser.parse_args()
    if min(args.hours, args.rounds, args.batch_seconds, args.pace) <= 0 or min(args.workers) < 0:
        parser.error("--hours, --rounds, --batch-seconds, --pace and --workers must be positive")
    return args


def prepare(part: Path, root: Path, hours: float) -> tuple[float, float]:
    """Writes FLAC and pack of the first utterances; hours of these, and seconds of the packing."""
    if not part.is_dir():
        raise UserError(f"{part} does not exist: name a folder in LibriSpeech's layout.")
    seconds, texts = 0.0, []
    folder = root / PART / "1" / "1"
    folder.mkdir(parents=True)
    for row in librispeech_index(part):
        if seconds >= 3600 * hours:
            break
        samples = (read_audio(part / row["path"], SAMPLE_RATE) * 32767).short()
        path = folder / f"{row['utterance_id']}.flac"
        soundfile.write(path, samples.numpy(), SAMPLE_RATE)
        texts.append(f"{row['utterance_id']} {row['text']}\n")
        seconds += len(samples) / SAMPLE_RATE
    (folder / "1-1.trans.txt").write_text("".join(texts), encoding="utf-8")
    source = Source(root / PART, librispeech_index(root / PART), part_fingerprint(root / PART))
    started = time.perf_counter()
    write_pack(source, pack_folder(root / PART), workers=0)
    return seconds / 3600, time.perf_counter() - started


def dataset_of(root: Path, form: str) -> BaseDataset:
    return LibriSpeechDataset(PART, str(root), download=False, packed=FORMS[form])


def measure_reading(root: Path, hours: float, rounds: int) -> list[dict[str, Any]]:
    datasets = {form: dataset_of(root, form) for form in FORMS}
    order = random.Random(0).sample(range(len(datasets["flac"])), len(datasets["flac"]))

    def read(form: str) -> None:
        for position in order:
            datasets[form][position]

    rows = []
    for cache, before in {"warm": nothing, "cold": drop_from_page_cache}.items():
        seconds = in_turns(read, partial(before, root), rounds)
        rows += [
            {"what": "reading", "form": form, "cache": cache, "hours_per_second": hours / taken}
            for form, taken in seconds.items()
        ]
    return rows


def measure_loading(root: Path, hours: float, args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for workers in dict.fromkeys([0, *args.workers]):
        loaders = {form: loader_of(root, form, workers, args.batch_seconds) for form in FORMS}

        def load(form: str, loaders: dict[str, DataLoader] = loaders) -> None:
            for _ in loaders[form]:
                pass

        for form, taken in in_turns(load, partial(nothing, root), args.rounds).items():
            row = {"what": "loading", "form": form, "workers": workers, "cache": "warm"}
            rows.append({**row, "hours_per_second": hours / taken})
        for form in FORMS if workers else ():
            row = {"what": "feeding", "form": form, "workers": workers, "cache": "warm"}
            rows.append({**row, **feed(loaders[form], hours, args.pace)})
    return rows


def feed(loader: DataLoader, hours: float, pace: float) -> dict[str, float]:
    """Waits of a loop that is busy for `hours / pace` seconds, after its first batch."""
    fetched: queue.Queue = queue.Queue(maxsize=1)

    def fetch() -> None:
        for batch in loader:
            fetched.put(batch)

    waits = []
    threading.Thread(target=fetch).start()
    for _ in range(len(loader)):
        started = time.perf_counter()
        batch = fetched.get()
        waits.append(time.perf_counter() - started)
        time.sleep(hours / pace / len(loader))
        del batch  # 5 ms for the 20 MB of shared memory, which are no waiting for data
    busy = hours / pace * (len(waits) - 1) / len(waits)
    taken = sum(waits[1:]) + busy
    return {
        "first_batch_seconds": waits[0],
        "hours_per_second": busy * pace / taken,
        "data_wait_share": 1 - busy / taken,
    }


def loader_of(root: Path, form: str, workers: int, batch_seconds: float) -> DataLoader:
    dataset = dataset_of(root, form)
    return DataLoader(
        dataset,
        batch_sampler=DurationBatchSampler(dataset, batch_seconds),
        collate_fn=Collate(CTCTextEncoder()),
        num_workers=workers,
    )


def in_turns(
    work: Callable[[str], None], before: Callable[[], None], rounds: int
) -> dict[str, float]:
    """Median seconds of `work` on each form, after a round that does not count."""
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for round_, form in product(range(rounds + 1), FORMS):
        before()
        started = time.perf_counter()
        work(form)
        if round_ > 0:
            seconds[form].append(time.perf_counter() - started)
    return {form: statistics.median(taken) for form, taken in seconds.items()}


def nothing(root: Path) -> None:
    """The files stay in the page cache."""


def drop_from_page_cache(root: Path) -> None:
    """Asks the kernel, which keeps pages that are mapped or not written yet."""
    open_shard.cache_clear()
    os.sync()
    for path in root.rglob("*"):
        if path.suffix in (".flac", ".pcm"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def train(work: Path, form: str, args: argparse.Namespace) -> dict[str, Any]:
    """A training as a person starts it; what its log says of all steps but the first fifth."""
    log_every = max(1, args.steps // 10)
    command = [
        *(sys.executable, str(ROOT / "train.py"), f"model={args.model}", "transforms=none"),
        *("datasets=mini_librispeech", f"data_dir={work}", f"save_dir={work}", f"run_name={form}"),
        *(f"datasets.train.part={PART}", f"datasets.train.packed={str(FORMS[form]).lower()}"),
        *(f"datasets.val.part={PART}", "datasets.val.limit=1", "datasets.test_clean=null"),
        *(f"dataloader.num_workers={args.train_workers}", "dataloader.max_batch_seconds=40"),
        *("trainer.epochs=1", f"trainer.epoch_len={args.steps}", f"trainer.log_every={log_every}"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"the training on {form} failed: {done.stderr.strip().splitlines()[-1]}")
    lines = (work / form / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    logged = [row for line in lines if "data_wait_share" in (row := json.loads(line))][2:]
    return {
        "what": "training",
        "form": form,
        "workers": args.train_workers,
        "hours_per_second": statistics.median(row["audio_hours_per_second"] for row in logged),
        "data_wait_share": statistics.mean(row["data_wait_share"] for row in logged),
    }


def print_table(results: list[dict[str, Any]]) -> None:
    print(f"{'what':10} {'form':8} {'workers':>7} {'cache':>6} {'hours/s':>9} {'data wait':>10}")
    for row in results:
        wait = f"{100 * row['data_wait_share']:.1f}%" if "data_wait_share" in row else ""
        print(
            f"{row['what']:10} {row.get('form', ''):8} {row.get('workers', ''):>7} "
            f"{row.get('cache', ''):>6} {row['hours_per_second']:9.3f} {wait:>10}"
        )


if __name__ == "__main__":
    main()
