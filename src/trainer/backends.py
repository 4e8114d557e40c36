"""What a recogniser runs on: PyTorch, or ONNX Runtime with an export of it."""

from __future__ import annotations

from pathlib import Path

from src.trainer.device import choose_device
from src.trainer.onnx_pretrained import FILES, OnnxPretrained, is_export, load_onnx
from src.trainer.pretrained import Pretrained, load_pretrained
from src.utils.config_errors import did_you_mean
from src.utils.errors import UserError

BACKENDS = ("torch", *FILES)
AnyPretrained = Pretrained | OnnxPretrained


def load_recognizer(
    path: str | Path, backend: str = "torch", device: str = "auto"
) -> AnyPretrained:
    """A trained recogniser, ready to hear.

    Args:
        path: a run folder, a checkpoint, `hf://USER/REPO`; for ONNX the exported folder, too.
        backend: one of `BACKENDS`.
        device: as for `choose_device`; ONNX runs on the CPU.

    Raises:
        UserError: as `load_pretrained` and `load_onnx`; no such backend, or not on that device.
    """
    check_backend(backend)
    if backend == "torch":
        if is_export(path):
            raise UserError(f"{path} is an ONNX export: choose backend=onnx, or name the run")
        return load_pretrained(path, choose_device(device))
    if device not in ("auto", "cpu"):
        raise UserError(f"backend={backend} runs on the CPU: device={device} needs backend=torch")
    return load_onnx(path, backend)


def check_backend(backend: str) -> None:
    if backend not in BACKENDS:
        near = did_you_mean(backend, BACKENDS)
        raise UserError(f"there is no backend={backend}{near} (there are {', '.join(BACKENDS)})")
