"""Packs a corpus (see `src.datasets.packed`): decoded by many processes, written by one.

The work lies in `<name>.packed.partial/` until it is whole. A shard is finished when its index is
there, so a packing that was killed goes on after its last finished shard.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from src.datasets.base_dataset import Row
from src.datasets.packed import (
    FORMAT,
    FULL_SCALE,
    HEADER,
    SAMPLE_RATE,
    shard_file,
    shard_index,
)
from src.utils.atomic_file import write_text_atomically
from src.utils.audio import read_audio
from src.utils.errors import UserError

logger = logging.getLogger(__name__)

PLAN = "plan.json"


class Source(NamedTuple):
    """What is to be packed: index rows with `path` relative to `folder`."""

    folder: Path
    rows: list[Row]
    fingerprint: str


def write_pack(source: Source, out: Path, workers: int, shard_hours: float = 8.0) -> None:
    """Makes the pack `out`, or finishes one that was begun; a finished one there is replaced.

    A recording that cannot be read is left out; the pack carries a warning that names it.

    Raises:
        UserError: the disk is too small or full, `out` cannot be written, another process packs
            the same, no recording can be read.
    """
    partial = out.with_name(f"{out.name}.partial")
    lock = out.with_name(f".{out.name}.lock")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # A packing that was killed holds the lock until its workers notice, some seconds later.
        with FileLock(lock, timeout=10):
            _write(source, partial, workers, shard_hours)
            if out.exists():
                shutil.rmtree(out)
            partial.replace(out)
            (out / PLAN).unlink()  # only now: a kill before this line loses nothing
    except Timeout:
        raise UserError(f"{out} is being packed by another process: wait for it.") from None
    except OSError as error:
        keeps = f"; {partial} keeps what is done" if partial.exists() else ""
        remedy = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check the disk"
        raise UserError(
            f"{out} cannot be written ({error.strerror}): {remedy}, or choose another --out, and "
            f"run again{keeps}."
        ) from None


def _write(source: Source, partial: Path, workers: int, shard_hours: float) -> None:
    shards = _cut(source.rows, shard_hours * 3600)
    _open_partial(
        partial, {"format": FORMAT, "fingerprint": source.fingerprint, "cut": shard_hours}
    )
    unfinished = [number for number in range(len(shards)) if not _is_finished(partial, number)]
    if len(unfinished) < len(shards):
        finished = len(shards) - len(unfinished)
        logger.info("%s: %d of %d shards are there already", partial, finished, len(shards))
    rows = [row for number in unfinished for row in shards[number]]
    _check_space(partial, sum(row["duration"] for row in rows))

    decoded = _decode(source.folder, rows, workers)
    for number in unfinished:
        _write_shard(partial, number, shards[number], decoded)
    _write_header(source, partial, len(shards))


def _cut(rows: list[Row], seconds: float) -> list[list[Row]]:
    shards: list[list[Row]] = []
    filled = seconds
    for row in rows:
        if filled >= seconds:
            shards.append([])
            filled = 0.0
        shards[-1].append(row)
        filled += row["duration"]
    return shards


def _open_partial(partial: Path, plan: dict[str, Any]) -> None:
    """An empty folder, or the one that an earlier call with the same plan left."""
    text = json.dumps(plan)
    path = partial / PLAN
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    if partial.exists():
        logger.info("%s is of another source or cut: begun afresh", partial)
        shutil.rmtree(partial)
    partial.mkdir()
    write_text_atomically(path, text)


def _is_finished(partial: Path, number: int) -> bool:
    try:
        wanted = json.loads(shard_index(partial, number).read_bytes())["bytes"]
        return shard_file(partial, number).stat().st_size == wanted
    except (OSError, ValueError):
        return False


def _check_space(folder: Path, seconds: float) -> None:
    needed = int(seconds * SAMPLE_RATE) * 2
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} needs {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB: make "
            "room, or choose another --out."
        )


class _Recordings(Dataset):
    """(samples [S] int16, whether they are exact, what is wrong) of each row's recording."""

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self.folder, self.rows = folder, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[np.ndarray, bool, str | None]:
        try:
            path = self.folder / self.rows[position]["path"]
            audio = read_audio(path, SAMPLE_RATE).numpy() * FULL_SCALE
        except UserError as error:
            return np.empty(0, np.int16), True, str(error)
        pcm = audio.round().clip(-FULL_SCALE, FULL_SCALE - 1).astype("<i2")
        return pcm, bool((pcm == audio).all()), None


def _decode(
    folder: Path, rows: list[Row], workers: int
) -> Iterator[tuple[np.ndarray, bool, str | None]]:
    """In the order of `rows`; one core each for `workers` processes."""
    loader = DataLoader(
        _Recordings(folder, rows), batch_size=None, num_workers=workers, collate_fn=_as_it_is
    )
    return iter(tqdm(loader, "packing", unit=" files", disable=None))


def _as_it_is(item: Any) -> Any:
    return item


def _write_shard(
    partial: Path,
    number: int,
    rows: list[Row],
    decoded: Iterator[tuple[np.ndarray, bool, str | None]],
) -> None:
    digest, start, exact = hashlib.sha256(), 0, True
    packed: list[Row] = []
    failures: list[str] = []
    with shard_file(partial, number).open("wb") as file:
        for row in rows:
            pcm, is_exact, error = next(decoded)
            if error is not None:
                failures.append(row["path"])
                logger.warning("left out: %s", error)
                continue
            data = pcm.tobytes()
            file.write(data)
            digest.update(data)
            packed.append({**row, "packed": [start, len(pcm)]})
            start += len(pcm)
            exact = exact and is_exact
        file.flush()
        os.fsync(file.fileno())
    index = {
        "bytes": 2 * start,
        "sha256": digest.hexdigest(),
        "exact": exact,
        "failures": failures,
        "rows": packed,
    }
    write_text_atomically(shard_index(partial, number), json.dumps(index))


def _write_header(source: Source, partial: Path, shards: int) -> None:
    indexes = [json.loads(shard_index(partial, number).read_bytes()) for number in range(shards)]
    failures = [path for index in indexes for path in index["failures"]]
    utterances = sum(len(index["rows"]) for index in indexes)
    if not utterances:
        raise UserError(f"{source.folder}: none of {len(failures)} recordings can be read.")
    warnings = []
    if failures:
        names = ", ".join(failures[:3]) + (", ..." if len(failures) > 3 else "")
        warnings = [f"{len(failures)} recordings could not be read and are left out ({names})"]
    header = {
        "format": FORMAT,
        "sample_rate": SAMPLE_RATE,
        "fingerprint": source.fingerprint,
        "shards": shards,
        "utterances": utterances,
        "exact": all(index["exact"] for index in indexes),
        "warnings": warnings,
    }
    write_text_atomically(partial / HEADER, json.dumps(header, indent=2) + "\n")
