"""PyTorch, ONNX Runtime and its 8-bit integers on the same speech: speed, WER, size.

    python scripts/export_onnx.py saved/RUN --int8
    python scripts/benchmark_backends.py saved/RUN --data data/LibriSpeech/dev-clean --json OUT

Timed is the way from a batch of waveforms to log-probabilities. The backends take turns at each
batch, after an untimed round for the error rates; the median of the rounds counts. The real-time
factor is seconds of work for a second of speech; CPU seconds are those of all threads, which other
work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.datasets import Collate, DurationBatchSampler, LibriSpeechDataset
from src.decoding.argmax import ArgmaxDecoder
from src.metrics import character_errors, error_rates, word_errors
from src.trainer.backends import BACKENDS, AnyPretrained, load_recognizer
from src.trainer.checkpoint import WEIGHTS, find_checkpoint
from src.trainer.hub import local_run, run_path
from src.trainer.onnx_export import difference
from src.trainer.onnx_pretrained import FILES, OnnxPretrained
from src.utils.entry_point import entry_point

Batches = list[dict[str, Any]]


@entry_point
def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    recognizers = {name: load_recognizer(args.run, name, "cpu") for name in BACKENDS}
    batches, seconds = read_speech(args, recognizers["torch"])
    results = measure_accuracy(recognizers, batches)
    times = measure_speed(recognizers, batches, args.rounds)
    for name, recognizer in recognizers.items():
        wall, cpu = ([spent[kind] / seconds for spent in times[name]] for kind in (0, 1))
        results[name] |= {
            "real_time_factor": statistics.median(wall),
            "cpu_seconds_a_second": statistics.median(cpu),
            "rounds": wall,
            "megabytes": model_size(args.run, recognizer, name),
        }
    print(f"{sum(len(b['text']) for b in batches)} utterances, {seconds / 60:.1f} minutes")
    print(table(results))
    settings = {key: str(value) for key, value in vars(args).items() if key != "json"}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"settings": settings, "results": results}, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", metavar="RUN_DIR", type=run_path, help="run folder with its export")
    add("--data", type=Path, required=True, help="part in LibriSpeech's layout")
    add("--json", metavar="OUT", type=Path, required=True, help="file to write the figures to")
    add("--threads", type=int, default=2, help="default: 2")
    add("--utterances", type=int, default=200, help="drawn with a fixed seed; default: 200")
    add("--batch-seconds", type=float, default=120.0, help="of padded audio; default: 120")
    add("--rounds", type=int, default=5, help="default: 5")
    args = parser.parse_args()
    for name in ("threads", "utterances", "rounds"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}: use 1 or more")
    return args


def read_speech(args: argparse.Namespace, recognizer: AnyPretrained) -> tuple[Batches, float]:
    """All of it in memory, in batches of similar length, and its seconds."""
    dataset = LibriSpeechDataset(
        args.data.name,
        root=str(args.data.parent),
        download=False,
        packed=False,
        limit=args.utterances,
        shuffle_index=True,
        sample_rate=recognizer.transforms.log_mel.sample_rate,
    )
    collate = Collate(recognizer.text_encoder)
    sampler = DurationBatchSampler(dataset, args.batch_seconds, shuffle=False)
    batches = [collate([dataset[position] for position in positions]) for positions in sampler]
    return batches, sum(dataset.durations)


@torch.inference_mode()
def measure_accuracy(
    recognizers: dict[str, AnyPretrained], batches: Batches
) -> dict[str, dict[str, Any]]:
    """Argmax error rates of each, and how far its log-probabilities are from PyTorch's."""
    of_torch = recognizers["torch"]
    decoder = ArgmaxDecoder(of_torch.text_encoder, of_torch.frame_seconds)
    pairs: dict[str, list[tuple[str, str]]] = {name: [] for name in recognizers}
    largest = dict.fromkeys(recognizers, 0.0)
    for batch in batches:
        expected = of_torch.process_batch(batch)
        for name, recognizer in recognizers.items():
            heard = expected if name == "torch" else recognizer.process_batch(batch)
            n_bests = decoder(heard["log_probs"], heard["log_prob_length"])
            pairs[name] += [(text, best[0].text) for text, best in zip(batch["text"], n_bests)]
            largest[name] = max(largest[name], difference(expected, heard))
    return {
        name: {
            **error_rates([word_errors(*p) for p in of], [character_errors(*p) for p in of]),
            "largest_difference": largest[name],
        }
        for name, of in pairs.items()
    }


@torch.inference_mode()
def measure_speed(
    recognizers: dict[str, AnyPretrained], batches: Batches, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Seconds, by the clock and of all cores, that each spends on all the batches, each round."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in recognizers}
    for _ in range(rounds):
        spent = dict.fromkeys(recognizers, (0.0, 0.0))
        for batch in batches:
            for name, recognizer in recognizers.items():
                wall, cpu = time.perf_counter(), time.process_time()
                recognizer.process_batch(batch)
                before = spent[name]
                spent[name] = (
                    before[0] + time.perf_counter() - wall,
                    before[1] + time.process_time() - cpu,
                )
        for name in recognizers:
            times[name].append(spent[name])
    return times


def model_size(run: str | Path, recognizer: AnyPretrained, name: str) -> float:
    if isinstance(recognizer, OnnxPretrained):
        file = recognizer.run_dir / FILES[name]
    else:
        file = find_checkpoint(local_run(run), prefer=("best", "last")) / WEIGHTS
    return file.stat().st_size / 1e6


def table(results: dict[str, dict[str, Any]]) -> str:
    rows = [
        "| backend | real-time factor | times as fast | CPU s a second | WER % | CER % | MB "
        "| largest difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in results.items():
        rates = [
            "{:.2f} ({:.2f} - {:.2f})".format(
                *(100 * value for value in (found[rate], *found[f"{rate}_interval"]))
            )
            for rate in ("wer", "cer")
        ]
        factor = found["real_time_factor"]
        cells = [
            *(name, f"{factor:.5f}", f"{results['torch']['real_time_factor'] / factor:.2f}"),
            *(f"{found['cpu_seconds_a_second']:.5f}", *rates),
            *(f"{found['megabytes']:.1f}", f"{found['largest_difference']:.1g}"),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
