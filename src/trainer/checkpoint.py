"""Checkpoints: weights as safetensors, everything else as plain tensors and numbers.

checkpoints/last/model.safetensors      the weights, readable by anything
checkpoints/last/training_state.pt      optimizer, schedule, RNG, data position; loadable with
                                        torch.load(weights_only=True): no pickled code
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from src.utils.errors import UserError

WEIGHTS = "model.safetensors"
TRAINING_STATE = "training_state.pt"


def save_checkpoint(folder: Path, model: nn.Module, training_state: dict[str, Any]) -> None:
    """Writes a new folder beside the old one and swaps them, so that one whole one remains."""
    new, old = (folder.with_name(f"{folder.name}.{suffix}") for suffix in ("new", "old"))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, new / WEIGHTS)
    torch.save(training_state, new / TRAINING_STATE)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def find_checkpoint(path: str | Path, prefer: tuple[str, ...]) -> Path:
    """A checkpoint folder from a run folder or a checkpoint's own path.

    In a run folder the first of the names `prefer` that exists is taken.
    """
    path = Path(path)
    candidates = [path, *(path / "checkpoints" / name for name in prefer)]
    for folder in candidates:
        if (folder / WEIGHTS).is_file():
            return folder
    raise UserError(
        f"no checkpoint in {path}; name a run folder that train.py wrote, such as saved/demo, or "
        f"a folder with {WEIGHTS} in it"
    )


def run_dir_of(checkpoint: Path) -> Path:
    """`saved/demo` of `saved/demo/checkpoints/best`."""
    return checkpoint.resolve().parent.parent


def load_weights(checkpoint: Path, model: nn.Module) -> None:
    """Weights into `model`; a checkpoint of another architecture is refused in one sentence."""
    try:
        weights = load_file(checkpoint / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{checkpoint / WEIGHTS} cannot be read ({error}); use another checkpoint of the run"
        ) from None
    expected = model.state_dict()
    wrong = sorted(
        name
        for name in weights.keys() | expected.keys()
        if name not in weights
        or name not in expected
        or weights[name].shape != expected[name].shape
    )
    if wrong:
        raise UserError(
            f"{checkpoint} is of another architecture: {len(wrong)} of {len(expected)} tensors do "
            f"not fit, {wrong[0]} the first; use the model and text_encoder that "
            f"{run_dir_of(checkpoint) / 'config.yaml'} names"
        )
    model.load_state_dict(weights)


def load_training_state(checkpoint: Path) -> dict[str, Any]:
    """What `save_checkpoint` was given beside the model, on the CPU."""
    path = checkpoint / TRAINING_STATE
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}); resume from another checkpoint"
        ) from None
