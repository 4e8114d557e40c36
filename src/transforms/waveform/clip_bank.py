"""A folder of short recordings in memory, to be mixed into utterances on the device."""

from __future__ import annotations

import logging
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from src.utils.audio import AUDIO_EXTENSIONS, read_audio
from src.utils.errors import UserError
from src.utils.files import scan_files

logger = logging.getLogger(__name__)


def recordings_in(folder: str, pattern: str = "*") -> list[Path]:
    """The recordings in `folder`, at any depth, sorted.

    Args:
        pattern: a glob that names must match; one with a `/` is for paths relative to `folder`,
            where `*` passes over folders too.

    Raises:
        UserError: there is no such folder, or no such recording in it.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserError(f"{folder} is not a folder; name one of recordings")
    found = [name for name in scan_files(root) if name.lower().endswith(AUDIO_EXTENSIONS)]
    if not found:
        raise UserError(f"{folder} has no recording ({', '.join(AUDIO_EXTENSIONS)}) in it")
    matching = [root / name for name in found if _matches(name, pattern)]
    if not matching:
        raise UserError(
            f"none of the {len(found)} recordings in {folder} matches {pattern!r}, such as "
            f"{found[0]}"
        )
    return matching


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name if "/" in pattern else PurePosixPath(name).name, pattern)


class ClipBank:
    """The recordings of `folder` that match `pattern` (see `recordings_in`).

    They are read when they are first needed; their names are known at once.
    """

    def __init__(self, folder: str, sample_rate: int, pattern: str = "*") -> None:
        self.folder = folder
        self.paths = recordings_in(folder, pattern)
        self.sample_rate = sample_rate
        self._samples: dict[torch.device, Tensor] = {}
        self._start = np.zeros(0, np.int64)
        self._length = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def cut(self, which: np.ndarray, start: np.ndarray, like: Tensor) -> Tensor:
        """[B, S] of `like`: clip which[b] from the share start[b] of its length on, repeated."""
        samples = self.samples(like.device)
        length = self._length[which]
        first = (start * length).astype(np.int64)
        first, length, offset = (
            torch.from_numpy(values)[:, None].to(like.device, non_blocking=True)
            for values in (first, length, self._start[which])
        )
        position = torch.arange(like.shape[1], device=like.device)
        return samples[offset + (first + position) % length].float() / 32768

    def samples(self, device: torch.device) -> Tensor:
        """All clips one after another, int16."""
        if device not in self._samples:
            clips = [read_audio(path, self.sample_rate) for path in self.paths]
            self._length = np.array([len(clip) for clip in clips])
            self._start = np.concatenate([[0], self._length[:-1].cumsum()])
            joined = (torch.cat(clips) * 32768).round_().clamp_(-32768, 32767).to(torch.int16)
            self._samples[device] = joined.to(device)
            seconds = len(joined) / self.sample_rate
            logger.info("%s: %d clips, %.1f minutes", self.folder, len(self), seconds / 60)
        return self._samples[device]
