"""A recogniser that ONNX Runtime runs, from the folder that `scripts/export_onnx.py` wrote.

RUN/onnx/
  model.onnx           audio [B, S], audio_length [B] -> log_probs [B, T, V], log_prob_length [B]
  model.int8.onnx      the same with linear layers in 8 bits, where it was asked for
  config.yaml          model and features
  text_encoder/
  manifest.json        checksums, the weights' among them, and how far from PyTorch it is
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from omegaconf import DictConfig

from src.text_encoder import CTCTextEncoder, load_text_encoder
from src.trainer.checkpoint import (
    MANIFEST,
    WEIGHTS,
    damage,
    file_sha256,
    find_checkpoint,
    run_dir_of,
)
from src.trainer.device import to_device
from src.trainer.hub import local_run
from src.trainer.onnx_graph import INPUTS, OUTPUTS
from src.trainer.pretrained import build_part, own_parts
from src.trainer.run_folder import read_run_config
from src.transforms import Transforms
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.errors import UserError

FOLDER = "onnx"
FILES = {"onnx": "model.onnx", "onnx_int8": "model.int8.onnx"}
EXPORT = "python scripts/export_onnx.py"


@dataclass
class OnnxPretrained:
    """As `Pretrained`, with a session in place of the model; on the CPU."""

    session: Any  # onnxruntime.InferenceSession
    transforms: Transforms
    text_encoder: CTCTextEncoder
    config: DictConfig
    run_dir: Path
    frame_samples: int
    fingerprint: str
    device = torch.device("cpu")

    @property
    def frame_seconds(self) -> float:
        return self.frame_samples / self.transforms.log_mel.sample_rate

    def process_batch(
        self, batch: dict[str, Any], statistics: FeatureStatistics | None = None
    ) -> dict[str, Any]:
        """The batch with log-probabilities added, as `Pretrained.process_batch`."""
        batch = to_device(batch, self.device)
        given = [batch["audio"], batch["audio_length"]]
        if statistics is not None:
            given += [statistics.mean, statistics.variance]
        feeds = {name: value.numpy() for name, value in zip(INPUTS, given)}
        found = self.session.run(OUTPUTS, feeds)
        return {**batch, **{name: torch.from_numpy(value) for name, value in zip(OUTPUTS, found)}}


def load_onnx(path: str | Path, backend: str = "onnx") -> OnnxPretrained:
    """`path` is an exported folder, or the run folder or checkpoint that it was exported from.

    Args:
        backend: `onnx` or `onnx_int8`.

    Raises:
        UserError: ONNX Runtime is not installed; the file is not there, damaged, not an export of
            this repository, or of other weights than those that `path` names.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"backend={backend} needs onnxruntime: pip install onnxruntime") from None
    folder = _folder(path, FILES[backend])
    file = folder / FILES[backend]
    if reason := damage(folder, FILES[backend]):
        raise UserError(f"{file} is damaged ({reason}); write it anew with {EXPORT}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # errors are raised as well
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        frame_samples = int(session.get_modelmeta().custom_metadata_map["frame_samples"])
    except (KeyError, ValueError):
        raise UserError(f"{file} is not an export of this repository; use {EXPORT}") from None
    except Exception as error:  # its classes are those of pybind, and derive from Exception
        reason = shorten(str(error), 200)
        raise UserError(f"{file} cannot be read ({reason}); write it anew with {EXPORT}") from None
    config = read_run_config(folder)
    return OnnxPretrained(
        session,
        build_part(own_parts(config, folder), "transforms", folder).eval(),
        load_text_encoder(folder / "text_encoder"),
        config,
        folder,
        frame_samples,
        file_sha256(file),
    )


def is_export(folder: str | Path) -> bool:
    return any((Path(folder) / name).is_file() for name in FILES.values())


def _folder(path: str | Path, name: str) -> Path:
    """Where the file is that belongs to `path`."""
    given = local_run(path)
    if is_export(given):
        if not (given / name).is_file():
            raise UserError(f"{given} has no {name}; write it with {EXPORT} RUN_DIR --int8")
        return given
    checkpoint = find_checkpoint(given, prefer=("best", "last"))
    folder = run_dir_of(checkpoint) / FOLDER
    option = " --int8" if name == FILES["onnx_int8"] else ""
    if not (folder / name).is_file():
        raise UserError(f"{folder / name} does not exist; write it with {EXPORT} {path}{option}")
    if _weights_of(folder) != file_sha256(checkpoint / WEIGHTS):
        raise UserError(
            f"{folder} was exported from other weights than those of {checkpoint}; write it anew "
            f"with {EXPORT} {path}{option}, or name {folder} to use it as it is"
        )
    return folder


def _weights_of(folder: Path) -> str | None:
    """The checksum of the weights that were exported."""
    try:
        return json.loads((folder / MANIFEST).read_text())["weights"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
