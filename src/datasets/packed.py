"""A corpus packed once: its recordings as 16-bit PCM in a few big files, mapped into memory.

    train-clean-100.packed/
        pack.json       format, sample rate, fingerprint of the source, number of shards
        00000.pcm       samples of the first utterances, back to back, little-endian int16
        00000.json      their index rows with the place of each, size and SHA-256 of 00000.pcm

`scripts/pack_dataset.py` writes it beside the source, and whole: a folder of this name is finished.
Datasets find it by `choose_pack`. An utterance's place, `[file, first sample, samples]`, travels
in its index row as `packed`; `read_packed` maps the file when a process first needs it, so that
workers of a DataLoader share one copy in the page cache and nothing has to be pickled.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.datasets.row_table import Row
from src.utils.errors import UserError

logger = logging.getLogger(__name__)

FORMAT = 1
SAMPLE_RATE = 16000
FULL_SCALE = 32768  # int16 -> [-1, 1), as libsndfile does
HEADER = "pack.json"
COMMAND = "scripts/pack_dataset.py"


class Pack(NamedTuple):
    """A finished pack. `exact`: every recording was 16-bit, 16 kHz and mono, so that an item read
    from here equals the one read from the source bit by bit; else it is rounded to 16 bits."""

    folder: Path
    fingerprint: str
    exact: bool
    rows: list[Row]
    warnings: list[str]


def pack_folder(source: Path, parent: str | Path | None = None) -> Path:
    """Where the pack of `source` (a part's folder, a manifest) lies: beside it, or in `parent`."""
    return Path(parent or source.parent) / f"{source.name}.packed"


def choose_pack(
    source: Path, packed: bool | str, sample_rate: int, fingerprint: Callable[[], str | None]
) -> Pack | None:
    """The pack that a dataset is to read instead of `source`, or None to read the recordings.

    Args:
        packed: "auto" takes a pack that lies beside the source if no number changes by it, True
            demands it, the name of a folder demands the pack that lies there, False takes none.
        sample_rate: that the dataset is to give.
        fingerprint: of the source as it is now; None if it is gone, when a pack stands alone.

    Raises:
        UserError: the pack that is demanded is missing, damaged, of another source or rate.
    """
    if packed is False:
        return None
    demanded = packed != "auto"
    folder = pack_folder(source, packed if isinstance(packed, str) and demanded else None)
    if not demanded and not folder.exists():
        return None
    try:
        pack = load_pack(folder)
        _check_fits(pack, source, sample_rate, fingerprint())
    except UserError as error:
        if demanded:
            raise
        logger.warning("%s The recordings are read instead.", error)
        return None
    if not demanded and not pack.exact:
        logger.info("%s rounds to 16 bits: packed=true reads it, and faster", folder)
        return None
    logger.info("%s: %d utterances from %s", source, len(pack.rows), folder)
    for warning in pack.warnings:
        logger.warning("%s: %s", folder, warning)
    return pack


def load_pack(folder: Path) -> Pack:
    """The index of a pack, every shard's size checked.

    Raises:
        UserError: it is missing, of another version, incomplete or cut off.
    """
    header = _read_json(folder / HEADER)
    if header["format"] != FORMAT:
        raise UserError(
            f"{folder} has format {header['format']}, this code reads {FORMAT}: remove it and "
            f"pack again ({COMMAND})."
        )
    rows = []
    for number in range(header["shards"]):
        shard = _read_json(shard_index(folder, number))
        file = shard_file(folder, number)
        size = file.stat().st_size if file.exists() else 0
        if size != shard["bytes"]:
            raise _damaged(file, f"{size} of {shard['bytes']} bytes are there")
        rows += [{**row, "packed": [str(file), *row["packed"]]} for row in shard["rows"]]
    if len(rows) != header["utterances"]:
        raise _damaged(folder, f"{len(rows)} of {header['utterances']} utterances are there")
    return Pack(folder, header["fingerprint"], header["exact"], rows, header["warnings"])


def verify_pack(folder: Path) -> None:
    """Reads every sample once and compares checksums.

    Raises:
        UserError: as `load_pack`, and for a shard whose checksum differs.
    """
    load_pack(folder)
    for number in range(_read_json(folder / HEADER)["shards"]):
        with shard_file(folder, number).open("rb") as file:
            found = hashlib.sha256()
            while block := file.read(1 << 20):
                found.update(block)
        if found.hexdigest() != _read_json(shard_index(folder, number))["sha256"]:
            raise _damaged(shard_file(folder, number), "its checksum differs")


def read_packed(file: str, start: int, samples: int) -> Tensor:
    """Waveform [S] in [-1, 1), float32, from the place that an index row names."""
    audio = open_shard(file)[start : start + samples].astype(np.float32)
    audio *= 1 / FULL_SCALE  # exact: a power of two
    return torch.from_numpy(audio)


def shard_file(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.pcm"


def shard_index(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.json"


@cache
def open_shard(file: str) -> np.memmap:
    """The samples of a shard, mapped once in a process."""
    try:
        return np.memmap(file, "<i2", "r")
    except (OSError, ValueError) as error:
        raise _damaged(Path(file), str(error)) from None


def _check_fits(pack: Pack, source: Path, sample_rate: int, fingerprint: str | None) -> None:
    if sample_rate != SAMPLE_RATE:
        raise UserError(
            f"{pack.folder} holds {SAMPLE_RATE} Hz and sample_rate={sample_rate} is wanted: "
            "set packed=false."
        )
    if fingerprint not in (None, pack.fingerprint):
        raise UserError(
            f"{source} changed since {pack.folder} was made of it: pack it again ({COMMAND}), or "
            "set packed=false."
        )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise UserError(f"{path.parent} does not exist: make it by {COMMAND}, or packed=false.")
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise _damaged(path, "it cannot be read") from None


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is damaged ({reason}): remove its folder and pack again ({COMMAND}).")
