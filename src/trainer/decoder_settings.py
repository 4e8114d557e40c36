"""By what a later call of `inference.py` knows the decoders of an earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf


def known_by(config: DictConfig) -> dict[str, Any]:
    """The decoders' settings, and size and time of the language model's file, where it is one."""
    metrics: Any = OmegaConf.to_container(config.metrics, resolve=True)
    try:
        status = Path(config.lm).stat()
    except OSError:
        return metrics
    return {**metrics, "lm": [status.st_size, status.st_mtime_ns]}
