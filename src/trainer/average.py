"""The mean of several checkpoints' weights (Izmailov et al., arXiv 1803.05407)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from src.trainer.checkpoint import WEIGHTS
from src.utils.errors import UserError


def numbered_checkpoints(run_dir: Path) -> list[Path]:
    """The run's `step_<n>` checkpoints, which `trainer.save_every` keeps, by their step."""
    numbered = {
        int(step): folder
        for folder in (run_dir / "checkpoints").glob("step_*")
        if (step := folder.name.removeprefix("step_")).isdigit() and (folder / WEIGHTS).is_file()
    }
    return [numbered[step] for step in sorted(numbered)]


def average_weights(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """name -> mean over the checkpoints, summed in float64, in the dtype they have.

    Raises:
        UserError: a checkpoint cannot be read, or they are not of one architecture.
    """
    first = _load(checkpoints[0])
    total = {name: value.double() for name, value in first.items()}
    for folder in checkpoints[1:]:
        weights = _load(folder)
        if _shapes(weights) != _shapes(first):
            raise UserError(
                f"{folder} is of another architecture than {checkpoints[0]}; average checkpoints "
                "of one run"
            )
        for name, value in weights.items():
            total[name] += value
    return {name: (total[name] / len(checkpoints)).to(first[name].dtype) for name in first}


def _load(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read ({error}); leave it out") from None


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}
