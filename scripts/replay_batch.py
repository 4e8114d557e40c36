"""Steps that a training skipped, once more: where do their gradients stop being finite?

python scripts/replay_batch.py saved/RUN                    # every step that the run has kept
python scripts/replay_batch.py saved/RUN --step 812         # one of them
python scripts/replay_batch.py saved/RUN --precision float32

A run that stops after `trainer.max_skipped_steps` leaves batches, random states and weights in
saved/RUN/checkpoints/skipped_steps, so that forward and backward are here as they were in training.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from src.trainer.base_trainer import PRECISIONS
from src.trainer.device import choose_device
from src.trainer.pretrained import load_pretrained
from src.trainer.skipped_steps import FOLDER
from src.trainer.trainer import process_batch
from src.transforms import Transforms
from src.utils.entry_point import entry_point
from src.utils.errors import UserError
from src.utils.random_state import restore_torch_random_state

Batch = dict[str, Any]
SHOWN = 8


@entry_point
def main() -> None:
    args = parse_arguments()
    logging.basicConfig(level=logging.WARNING)
    folder = args.run / "checkpoints" / FOLDER
    kept = {int(path.stem.removeprefix("step_")): path for path in folder.glob("step_*.pt")}
    if not kept:
        raise UserError(f"{args.run} has kept no skipped steps: {folder} is not there or empty")
    if args.step and args.step not in kept:
        raise UserError(f"step {args.step} was not kept; there are {sorted(kept)}")
    device = choose_device(args.device)
    pretrained = load_pretrained(folder, device, augment=True)
    criterion = instantiate(pretrained.config.loss).to(device)
    precision = args.precision or pretrained.config.trainer.precision
    for number in [args.step] if args.step else sorted(kept):
        step = torch.load(kept[number], weights_only=True)
        for batch, state in zip(step["batches"], step["random"]):
            restore_torch_random_state(state, device)
            set_dropout(pretrained.model, step["dropout"])
            print(f"step {number}, {precision} on {device}")
            replay(batch, pretrained.transforms, pretrained.model, criterion, device, precision)


def replay(
    batch: Batch,
    transforms: Transforms,
    model: nn.Module,
    criterion: nn.Module,
    device: torch.device,
    precision: str,
) -> None:
    """Forward and backward as in training; prints what is not finite, and where it began."""
    model.train().zero_grad()
    transforms.train()
    parts = {"transforms": transforms, "model": model, "loss": criterion}
    found = [f"weight {name}" for name, weight in model.named_parameters() if not finite(weight)]
    found += [
        f"audio of {name}" for name, audio in zip(batch["utterance_id"], batch["audio"])
        if not finite(audio)
    ]  # fmt: skip
    hooks = [
        module.register_forward_hook(Watch(f"{part}.{name}".rstrip("."), found))
        for part, whole in parts.items()
        for name, module in whole.named_modules()
    ]
    enabled = precision != "float32"
    with torch.autocast(device.type, PRECISIONS[precision], enabled=enabled):
        batch = process_batch(batch, transforms, model, criterion, device)
    batch["loss"].backward()
    for hook in hooks:
        hook.remove()

    norms = {
        name: parameter.grad.norm().item()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    broken = [name for name, norm in norms.items() if not math.isfinite(norm)]
    total = math.sqrt(sum(norm**2 for norm in norms.values()))
    print(f"  loss {batch['loss'].item():.4f}, gradient norm {total:.4f}")
    print(f"  first tensor that is not finite: {found[0] if found else 'none, all are finite'}")
    print(f"  gradients that are not finite: {len(broken)} of {len(norms)}")
    largest = sorted(norms, key=lambda name: (math.isfinite(norms[name]), -norms[name]))
    for name in largest[:SHOWN]:
        print(f"    {norms[name]:12.4f}  {name}")
    print("  loss of each utterance, worst first")
    losses = utterance_losses(batch, criterion)
    for name in sorted(losses, key=lambda name: (math.isfinite(losses[name]), -losses[name])):
        place = batch["utterance_id"].index(name)
        print(f"    {losses[name]:12.4f}  {name}  {batch['duration'][place]:.2f} s  "
              f"{batch['text'][place]!r}")  # fmt: skip


class Watch:
    """A forward hook that notes outputs, and gradients that arrive at them, that are not finite."""

    def __init__(self, name: str, found: list[str]) -> None:
        self.name, self.found = name, found

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        for tensor in tensors_in(output):
            if not finite(tensor):
                self.found.append(f"output of {self.name}")
            if tensor.requires_grad:
                tensor.register_hook(self.check_gradient)

    def check_gradient(self, gradient: Tensor) -> None:
        if not finite(gradient):
            self.found.append(f"gradient at the output of {self.name}")


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested dicts, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_in(part)


def finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


@torch.no_grad()
def utterance_losses(batch: Batch, criterion: nn.Module) -> dict[str, float]:
    """The criterion on each utterance alone, from the batch's forward pass."""
    names, rows = batch["utterance_id"], len(batch["log_probs"])

    def of_utterance(value: Any, place: int) -> Any:
        if isinstance(value, Tensor) and value.ndim and len(value) == rows:
            return value[place :: len(names)]  # two rows where there are two views
        if isinstance(value, list) and value and isinstance(value[0], Tensor):
            return [of_utterance(part, place) for part in value]
        return value

    return {
        name: criterion(**{key: of_utterance(value, place) for key, value in batch.items()})[
            "loss"
        ].item()
        for place, name in enumerate(names)
    }


def set_dropout(model: nn.Module, probabilities: dict[str, float]) -> None:
    for name, module in model.named_modules():
        if name in probabilities:
            module.p = probabilities[name]  # type: ignore[assignment]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--step", type=int, help="one step of those that were kept")
    parser.add_argument("--precision", choices=PRECISIONS, help="by default the run's own")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
