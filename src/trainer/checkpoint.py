"""Checkpoints: weights as safetensors, everything else as plain tensors and numbers.

checkpoints/last/model.safetensors      the weights, readable by anything
checkpoints/last/training_state.pt      optimizer, schedule, RNG, data position; loadable with
                                        torch.load(weights_only=True): no pickled code
checkpoints/last/manifest.json          step, time and the SHA-256 of both, written last

A checkpoint appears whole or not at all: it is written and synced to the disk as `last.new`, then
`last` becomes `previous` and `last.new` becomes `last`. Wherever a kill or a power cut falls, a
whole one is there, and the checksums tell it from a torn one.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from src.utils.disk import disk_error, sync_folder
from src.utils.errors import UserError

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
TRAINING_STATE = "training_state.pt"
MANIFEST = "manifest.json"


def save_checkpoint(folder: Path, model: nn.Module, training_state: dict[str, Any]) -> None:
    """Writes a new folder beside the old one, syncs it and swaps them.

    Raises:
        UserError: the disk is full or refuses; the checkpoints that were there are as they were.
    """
    new, old = _new(folder), _old(folder)
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        with _HashedFile(new / WEIGHTS) as file:
            file.write(safetensors.torch.save(contiguous_weights(model)))
            weights_sum = file.sync()
        with _HashedFile(new / TRAINING_STATE) as file:
            torch.save(training_state, file)
            state_sum = file.sync()
        manifest = {
            "step": training_state.get("step"),
            "saved_at": time.time(),
            "sha256": {WEIGHTS: weights_sum, TRAINING_STATE: state_sum},
        }
        with _HashedFile(new / MANIFEST) as file:
            file.write(json.dumps(manifest, indent=2).encode())
            file.sync()
        sync_folder(new)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        new.rename(folder)
        sync_folder(folder.parent)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(new, ignore_errors=True)
        cause = disk_error(error)
        if cause is None:
            raise
        raise UserError(
            f"the checkpoint {folder} cannot be written ({cause.strerror}); make room and go on by "
            f"trainer.resume_from={run_dir_of(folder)}, whose earlier checkpoints are whole"
        ) from error
    if folder.name != "last":
        shutil.rmtree(old, ignore_errors=True)


def contiguous_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """A state dict as safetensors takes it."""
    return {name: value.contiguous() for name, value in model.state_dict().items()}


def _new(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.new")


def _old(folder: Path) -> Path:
    """Where the predecessor goes: that of `last` is kept, in case `last` is damaged."""
    return folder.with_name("previous" if folder.name == "last" else f"{folder.name}.old")


class _HashedFile(io.BufferedWriter):
    """A file for writing that knows the checksum of what was meant, whatever arrives."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "w"))
        self.sha256 = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return super().write(data)

    def sync(self) -> str:
        """Waits until all is on the disk; the checksum."""
        self.flush()
        os.fsync(self.fileno())
        return self.sha256.hexdigest()


def find_checkpoint(path: str | Path, prefer: tuple[str, ...]) -> Path:
    """A folder with good weights, from a run folder or a checkpoint's own path.

    In a run folder the first of the names `prefer` that has good weights is taken, with a warning
    for each one that is damaged.

    Raises:
        UserError: there is none, or the checkpoint that `path` names is damaged.
    """
    path = Path(path)
    if (path / WEIGHTS).is_file() or (path / MANIFEST).is_file():
        return _undamaged(path, WEIGHTS)
    named = [path / "checkpoints" / name for name in prefer]
    versions = [version for folder in named for version in (folder, _new(folder), _old(folder))]
    if good := _first_undamaged(list(filter(_is_whole, versions)), WEIGHTS):
        return good
    raise UserError(
        f"no checkpoint in {path}; name a run folder that train.py wrote, such as saved/demo, or "
        f"a folder with {WEIGHTS} in it"
    )


def find_resumable(path: str | Path) -> Path | None:
    """The checkpoint that `path` names, or the newest good one of a run folder; None without any.

    Raises:
        UserError: the checkpoint that `path` names is damaged, or all of the run folder's are.
    """
    path = Path(path)
    if (path / WEIGHTS).is_file() or (path / MANIFEST).is_file():
        return _undamaged(path, WEIGHTS, TRAINING_STATE)
    whole = [file.parent for file in (path / "checkpoints").glob(f"*/{MANIFEST}")]
    whole.sort(key=_saved_at, reverse=True)
    good = _first_undamaged(whole, WEIGHTS, TRAINING_STATE)
    if whole and not good:
        raise UserError(
            f"every checkpoint in {path} is damaged; start the run anew by overwrite=true"
        )
    return good


def damage(checkpoint: Path, *files: str) -> str | None:
    """What is wrong with these files of a checkpoint, in a few words; None if nothing is.

    Without a manifest, as for weights that were averaged or downloaded, nothing can be compared.
    """
    if not (checkpoint / MANIFEST).exists():
        return None
    try:
        checksums = json.loads((checkpoint / MANIFEST).read_text())["sha256"]
        for name in files:
            if file_sha256(checkpoint / name) != checksums[name]:
                return f"{name} differs from what was written"
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _undamaged(checkpoint: Path, *files: str) -> Path:
    if reason := damage(checkpoint, *files):
        raise UserError(
            f"{checkpoint} is damaged ({reason}); use another checkpoint of the run, or name the "
            f"run folder {run_dir_of(checkpoint)} for its newest good one"
        )
    return checkpoint


def _first_undamaged(folders: list[Path], *files: str) -> Path | None:
    for folder in folders:
        reason = damage(folder, *files)
        if reason is None:
            return folder
        logger.warning("%s is damaged (%s); trying the one before it", folder, reason)
    return None


def _is_whole(folder: Path) -> bool:
    """Whether its writer came to the end: half a checkpoint is what a kill leaves, not damage."""
    return (folder / MANIFEST).is_file() or (
        (folder / WEIGHTS).is_file() and not folder.name.endswith(".new")
    )


def _saved_at(folder: Path) -> float:
    """By the manifest, since copying a run folder may change its files' times."""
    try:
        return float(json.loads((folder / MANIFEST).read_text())["saved_at"])
    except (OSError, ValueError, LookupError, TypeError):
        return folder.stat().st_mtime


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def run_dir_of(checkpoint: Path) -> Path:
    """`saved/demo` of `saved/demo/checkpoints/best`; itself, of a run folder laid flat (hub.py)."""
    folder = checkpoint.resolve()
    return folder if (folder / "config.yaml").is_file() else folder.parent.parent


def load_weights(checkpoint: Path, model: nn.Module, but: Sequence[str] = ()) -> None:
    """Weights into `model`, `but` those of the layers named so; a checkpoint of another
    architecture is refused in one sentence."""
    try:
        weights = safetensors.torch.load_file(checkpoint / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{checkpoint / WEIGHTS} cannot be read ({error}); use another checkpoint of the run"
        ) from None
    expected = model.state_dict()
    for name in expected:
        if name.split(".")[0] in but:
            weights[name] = expected[name]
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
