"""Writes the folder that `src.trainer.onnx_pretrained` reads, and compares it with PyTorch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from omegaconf import OmegaConf
from torch.nn.utils.rnn import pad_sequence

from src.trainer.checkpoint import MANIFEST, WEIGHTS, file_sha256, find_checkpoint, run_dir_of
from src.trainer.hub import SCHEME, local_run
from src.trainer.onnx_graph import quantize, write_graph
from src.trainer.onnx_pretrained import FILES, FOLDER, OnnxPretrained, is_export, load_onnx
from src.trainer.pretrained import Pretrained, load_pretrained
from src.trainer.run_folder import CONFIG
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.errors import UserError

TOLERANCE = 1e-3
SECONDS = ((0.0,), (0.01,), (0.35, 0.01, 0.2), (3.1,), (7.0, 1.3), (12.0,))  # 0: one sample


def export_onnx(
    path: str | Path, folder: Path | None = None, int8: bool = False
) -> tuple[Path, dict[str, float]]:
    """Exports a recogniser, and keeps the export only if it agrees with PyTorch.

    Args:
        path: as `load_pretrained` takes it.
        folder: where to; None is `RUN/onnx`. What another export left there is replaced.
        int8: write `model.int8.onnx` too.

    Returns:
        The folder, and for each backend its largest difference of a log-probability of noise from
        PyTorch's.

    Raises:
        UserError: as `load_pretrained`; packages are missing; the folder holds something else or
            cannot be written; the float graph differs from PyTorch by more than `TOLERANCE`.
    """
    _check_packages()
    if folder is None and str(path).startswith(SCHEME):
        raise UserError(f"say by -o where the export of {path} is to be written")
    checkpoint = find_checkpoint(local_run(path), prefer=("best", "last"))
    folder = folder or run_dir_of(checkpoint) / FOLDER
    if folder.exists() and not is_export(folder) and (folder.is_file() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not an export; name another by -o")
    pretrained = load_pretrained(checkpoint)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as new:
            found = _write(pretrained, checkpoint, Path(new), int8)
            _replace(folder, Path(new))
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); name a folder that can by -o"
        ) from None
    return folder, found


def _check_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install onnx onnxruntime") from None


def _write(pretrained: Pretrained, checkpoint: Path, folder: Path, int8: bool) -> dict[str, float]:
    parts: Any = OmegaConf.to_container(pretrained.config)
    transforms = {name: parts["transforms"][name] for name in ("_target_", "log_mel")}
    config = OmegaConf.create({"model": parts["model"], "transforms": transforms})
    OmegaConf.save(config, folder / CONFIG)
    pretrained.text_encoder.save(folder / "text_encoder")
    metadata = {
        "sample_rate": str(pretrained.transforms.log_mel.sample_rate),
        "frame_samples": str(pretrained.frame_samples),
        "frame_seconds": str(pretrained.frame_seconds),
        "vocabulary": json.dumps(pretrained.text_encoder.vocab),  # the blank is the first
    }
    write_graph(pretrained, folder / FILES["onnx"], metadata)
    found = {"onnx": largest_difference(pretrained, load_onnx(folder))}
    if not found["onnx"] <= TOLERANCE:  # NaN is no agreement either
        raise UserError(
            f"the export differs from PyTorch by {found['onnx']:.2g} in a log-probability, more "
            f"than {TOLERANCE:g}, and was not written"
        )
    if int8:
        quantize(folder / FILES["onnx"], folder / FILES["onnx_int8"])
        found["onnx_int8"] = largest_difference(pretrained, load_onnx(folder, "onnx_int8"))
    manifest = {
        "sha256": {FILES[backend]: file_sha256(folder / FILES[backend]) for backend in found},
        "weights": file_sha256(checkpoint / WEIGHTS),
        "largest_difference": found,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return found


def _replace(folder: Path, new: Path) -> None:
    """The new files in place of the old ones, the manifest last: until then its checksums tell."""
    folder.mkdir(exist_ok=True)
    for name in FILES.values():
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "text_encoder", ignore_errors=True)
    for path in sorted(new.iterdir(), key=lambda path: path.name == MANIFEST):
        path.replace(folder / path.name)


@torch.inference_mode()
def largest_difference(pretrained: Pretrained, other: OnnxPretrained) -> float:
    """Between the log-probabilities of noise, from one sample to 12 s, alone and in batches, with
    its own statistics and with given ones."""
    generator = torch.Generator().manual_seed(0)
    rate = pretrained.transforms.log_mel.sample_rate
    bands = pretrained.transforms.log_mel.n_mels
    given = FeatureStatistics(torch.full((bands,), -5.0), torch.full((bands,), 4.0))
    largest = 0.0
    for seconds in SECONDS:
        audio = [
            torch.randn(max(1, int(s * rate)), generator=generator).clamp(-4, 4) / 8
            for s in seconds
        ]
        batch = {
            "audio": pad_sequence(audio, batch_first=True),
            "audio_length": torch.tensor([len(waveform) for waveform in audio]),
        }
        for statistics in (None, given):
            expected = pretrained.process_batch(batch, statistics)
            found = other.process_batch(batch, statistics)
            largest = max(largest, difference(expected, found))
    return largest


def difference(expected: dict[str, Any], found: dict[str, Any]) -> float:
    """The largest between two batches' `log_probs`, padding aside; infinite if lengths differ."""
    if not torch.equal(expected["log_prob_length"], found["log_prob_length"]):
        return float("inf")
    return max(
        float((a[:length] - b[:length]).abs().max())
        for a, b, length in zip(
            expected["log_probs"], found["log_probs"], expected["log_prob_length"].tolist()
        )
    )
