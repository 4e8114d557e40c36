"""What augmentations cost: each by itself, and by how much the chains slow a training step.

    python scripts/benchmark_augmentations.py data/LibriSpeech/dev-clean --json OUT
    python scripts/benchmark_augmentations.py data/LibriSpeech/dev-clean --json OUT \\
        --noise-dir data/noise --rir-dir data/rooms --threads 1
    python scripts/benchmark_augmentations.py data/LibriSpeech/dev-clean --json OUT \\
        --device cuda --seconds 1000 --model conformer_large --precision bf16

On one padded batch, about --seconds of recordings of like duration, in turns, the median of
--rounds:

    step            a training step without augmentation: log_mel, forward, CTC of random targets,
                    backward, AdamW
    log_mel         log-mel and normalisation (transforms=none)
    augmentations   each at probability 1, by itself
    chains          those of transforms=spec, wave and full, and full with those that need a folder,
                    where there is one, at the probabilities of their configs, without log_mel

A round takes the mean over --epochs epochs, since these draw differently and so cost differently.
Every pass is waited for: on a GPU that is an upper bound, since a training does not wait.

OUT has `settings` and `results`: rows with `kind`, `name`, `ms_per_audio_second` (of audio without
padding) and `step_percent`, its time as a share of the step's: by so much a chain slows training.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.benchmark_training import (
    PRECISIONS,
    TOKENS_PER_SECOND,
    VOCAB,
    TrainingStep,
    device_name,
)
from src.trainer.device import choose_device
from src.transforms import Draws
from src.transforms.from_config import CONFIGS, Choice, build_transforms, every_augmentation
from src.transforms.waveform.clip_bank import recordings_in
from src.utils.audio import audio_duration, read_audio
from src.utils.entry_point import entry_point
from src.utils.masking import length_mask

SAMPLE_RATE = 16000
CANDIDATES = 400  # recordings whose headers are read
Named = Mapping[str, nn.Module]
Pass = Callable[[int], object]  # of an epoch


@entry_point
def main() -> None:
    args = parse_arguments()
    device = choose_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    folders = {"noise_dir": args.noise_dir, "rir_dir": args.rir_dir}
    choices, left_out = every_augmentation(**folders)
    batch = load_batch(args.audio_dir, args.seconds, device)
    log_mel = build_transforms("transforms=none").to(device)
    batch |= log_mel(**batch)
    step = TrainingStep(build_model(args.model), with_targets(batch), args.precision)

    passes: dict[tuple[str, str], Pass] = {
        ("step", "training step"): lambda epoch: (log_mel(**batch), step()),
        ("features", "log_mel"): lambda epoch: log_mel(**batch),
    }
    for name, choice in choices.items():
        alone = {name: choice.augmentation.to(device)}
        groups = ({}, alone) if choice.of_features else (alone, {})
        passes["augmentation", name] = partial(augment, *groups, batch)
    for name, overrides in chain_overrides(choices).items():
        chain = build_transforms(*overrides, **folders).to(device)
        groups = (chain.wave_augmentations, chain.spec_augmentations)
        passes["chain", name] = partial(augment, *groups, batch)
    milliseconds = in_turns(passes, args.rounds, args.epochs, device)

    audio_seconds = batch["audio_length"].sum().item() / SAMPLE_RATE
    results = [
        {
            "kind": kind,
            "name": name,
            "ms_per_audio_second": round(taken / audio_seconds, 5),
            "step_percent": round(100 * taken / milliseconds["step", "training step"], 3),
        }
        for (kind, name), taken in milliseconds.items()
    ]
    settings = {key: value for key, value in vars(args).items() if key != "json"}
    settings |= {
        "device": str(device),
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        "recordings": len(batch["audio"]),
        "audio_seconds": audio_seconds,
        "padded_seconds": batch["audio"].numel() / SAMPLE_RATE,
        "left_out": left_out,
        "torch": torch.__version__,
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(
        json.dumps({"settings": settings, "results": results}, indent=2, default=str) + "\n"
    )
    print_table(results, settings)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    models = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))
    add("audio_dir", metavar="AUDIO_DIR", type=Path, help="recordings, in any folders")
    add("--json", metavar="OUT", type=Path, required=True, help="file to write")
    add("--noise-dir", metavar="DIR", type=Path, help="recordings of noise")
    add("--rir-dir", metavar="DIR", type=Path, help="impulse responses of rooms")
    add("--seconds", type=float, default=60, help="of audio in the batch; default: 60")
    add("--rounds", type=int, default=7, help="median of so many; default: 7")
    add("--epochs", type=int, default=8, help="mean of so many in a round; default: 8")
    add("--model", choices=models, default="conformer_tiny", help="default: conformer_tiny")
    add("--precision", choices=list(PRECISIONS), default="float32", help="default: float32")
    add("--device", default="auto", help="default: the GPU, if there is one")
    add("--threads", type=int, help="CPU threads; default: PyTorch's own choice")
    args = parser.parse_args()
    if min(args.seconds, args.rounds, args.epochs) <= 0 or (args.threads or 1) < 1:
        parser.error("--seconds, --rounds, --epochs and --threads must be positive")
    return args


def chain_overrides(choices: dict[str, Choice]) -> dict[str, list[str]]:
    """The overrides of each chain."""
    chains = {f"transforms={name}": [f"transforms={name}"] for name in ("spec", "wave", "full")}
    if from_folders := [name for name, choice in choices.items() if choice.needs]:
        name = " + ".join(["transforms=full", *from_folders])
        chains[name] = ["transforms=full", f"augmentation=[{','.join(from_folders)}]"]
    return chains


def load_batch(folder: Path, seconds: float, device: torch.device) -> dict[str, Any]:
    """Recordings of about the median duration: `audio`, `audio_length`, `utterance_id`."""
    paths = recordings_in(str(folder))
    paths = random.Random(0).sample(paths, min(CANDIDATES, len(paths)))
    duration = {path: audio_duration(path) for path in paths}
    paths.sort(key=lambda path: duration[path])
    number = max(1, min(len(paths), round(seconds / duration[paths[len(paths) // 2]])))
    first = (len(paths) - number) // 2
    audio = [read_audio(path, SAMPLE_RATE) for path in paths[first : first + number]]
    return {
        "audio": pad_sequence(audio, batch_first=True).to(device),
        "audio_length": torch.tensor([len(one) for one in audio]).to(device),
        "utterance_id": list(range(number)),
    }


def with_targets(batch: dict[str, Any]) -> dict[str, Tensor]:
    """The features of the batch with random tokens, as many as LibriSpeech has characters."""
    length = batch["audio_length"].cpu() * TOKENS_PER_SECOND // SAMPLE_RATE
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, VOCAB, (len(length), int(length.max())), generator=generator)
    tokens = tokens * length_mask(length, tokens.shape[1])
    device = batch["audio"].device
    features = {name: batch[name] for name in ("features", "feature_length")}
    return {**features, "tokens": tokens.to(device), "token_length": length.to(device)}


def build_model(name: str) -> nn.Module:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose("baseline", ["run_name=none", f"model={name}"])
    torch.manual_seed(0)
    return instantiate(config.model, vocab_size=VOCAB)


def augment(wave: Named, spec: Named, batch: dict[str, Any], epoch: int) -> None:
    """What `Transforms` does before and after `log_mel`."""
    draws = Draws.of(0, epoch, batch["utterance_id"])
    for what, augmentations in (("audio", wave), ("feature", spec)):
        x = batch["features" if what == "feature" else what]
        for name, augmentation in augmentations.items():
            x = augmentation(x, batch[f"{what}_length"], draws.fork(name))


def in_turns(
    passes: dict[tuple[str, str], Pass], rounds: int, epochs: int, device: torch.device
) -> dict[tuple[str, str], float]:
    """Median milliseconds of a pass, after a round that does not count."""
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in passes}
    for round_ in range(rounds + 1):
        for key, work in passes.items():
            number = 1 if key[0] == "step" else epochs  # a step always takes as long
            wait(device)
            started = time.perf_counter()
            for epoch in range(number):
                work(epoch)
                wait(device)
            if round_ > 0:
                taken[key].append(1000 * (time.perf_counter() - started) / number)
    return {key: statistics.median(values) for key, values in taken.items()}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def print_table(results: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    threads = f", {settings['threads']} threads" if settings["device"] == "cpu" else ""
    print(
        f"{settings['device_name']}{threads}, {settings['model']} in {settings['precision']}; "
        f"{settings['recordings']} recordings, {settings['audio_seconds']:.1f} s "
        f"({settings['padded_seconds']:.1f} s with padding)"
    )
    for name, setting in settings["left_out"].items():
        print(f"{name} is left out: include with --{setting.replace('_', '-')} DIR")
    width = max(len(row["name"]) for row in results)
    print(f"{'':{width}} {'ms per s of audio':>18} {'% of a step':>12}")
    for row in results:
        print(
            f"{row['name']:{width}} {row['ms_per_audio_second']:18.3f} {row['step_percent']:12.1f}"
        )
    for row in results:
        if row["kind"] == "chain":
            print(f"{row['name']} slows a training step by {row['step_percent']:.1f}%")


if __name__ == "__main__":
    main()
