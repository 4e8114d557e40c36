"""What is written while recordings are transcribed, such that a kill at any time loses little.

`<folder>/transcripts.jsonl` grows by a line a recording, in the order in which they are finished,
after the recording's own files; rank r > 0 of several processes has `transcripts.<r>.jsonl`. At
the end the first is put into the order of the inputs, at one blow, and the others are removed.
`call.json` says what made them: a later call of the same recogniser takes over every finished
record whose recording has not changed since.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from src.datasets import BaseDataset
from src.trainer.transcript import Record, json_line
from src.utils.atomic_file import write_text_atomically
from src.utils.errors import UserError

logger = logging.getLogger(__name__)

TRANSCRIPTS, CALL = "transcripts.jsonl", "call.json"


class Journal:
    """One rank's lines, appended and handed to the system at once: a kill leaves whole lines."""

    def __init__(self, folder: Path, rank: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = TRANSCRIPTS if rank == 0 else f"transcripts.{rank}.jsonl"
        self._file = (folder / name).open("a", encoding="utf-8")

    def write(self, records: Iterable[Record]) -> None:
        self._file.write("".join(map(json_line, records)))
        self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def open_journal(
    folder: Path, settings: Mapping[str, Any], dataset: BaseDataset, resume: bool
) -> dict[str, Record]:
    """Makes `folder` ready for this call; the records of an earlier one that are still good.

    Nothing is lost: where earlier records are not taken over, since the `settings` (plain values,
    by name) or the recordings are others, or `resume` is False, the folder is first moved aside as
    it is, to `<folder>.1`, `<folder>.2`, ...; that is logged. Raises `UserError` where `folder`
    cannot be written.
    """
    settings = json.loads(json.dumps(settings))
    stamps = {row["utterance_id"]: _stamp(row) for row in dataset.index}
    # without those that failed, which may have been mended
    earlier = [record for record in read_records(folder) if "error" not in record]
    call = _read_call(folder)
    kept = {}
    if call is not None and resume and call["settings"] == settings:
        names = [record["utterance_id"] for record in earlier]
        good = {name for name in names if stamps.get(name, 0) == call["files"].get(name, 1)}
        kept = {name: record for name, record in zip(names, earlier) if name in good}
    if len(kept) < len(earlier):
        why = _difference(call, settings) if not kept else "other or changed recordings too"
        logger.warning(
            "%s holds transcripts of %s; all are now in %s, and this call %s",
            *(folder, why, _move_aside(folder)),
            f"goes on with {len(kept)} of them" if kept else "starts anew",
        )
    elif kept:
        logger.info("%s: %d of %d are done already", folder, len(kept), len(stamps))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # first the records, then what they are of: in between they are of the earlier call still
        finish_journal(folder, kept.values())
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); set inferencer.save_dir to a folder "
            "that can"
        ) from None
    write_text_atomically(folder / CALL, json.dumps({"settings": settings, "files": stamps}))
    return kept


def finish_journal(folder: Path, records: Iterable[Record]) -> None:
    """`transcripts.jsonl` has these records, in this order; nothing else has any."""
    write_text_atomically(folder / TRANSCRIPTS, "".join(map(json_line, records)))
    for path in folder.glob("transcripts.*.jsonl"):
        path.unlink()


def read_records(folder: Path) -> list[Record]:
    """Every whole line of every rank, one an utterance; the latest of several."""
    records = {}
    for path in [folder / TRANSCRIPTS, *sorted(folder.glob("transcripts.*.jsonl"))]:
        if not path.exists():
            continue
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
                records[record["utterance_id"]] = record
            except (ValueError, KeyError, TypeError):  # half a line, the last before a power cut
                continue
    return list(records.values())


def _stamp(row: Mapping[str, Any]) -> list[Any]:
    """Changes when a recording does."""
    try:
        status = Path(row["path"]).stat()
    except (OSError, ValueError):  # of a pack, or made up as it is asked for
        return [str(row["path"]), row["duration"]]
    return [str(row["path"]), status.st_size, status.st_mtime_ns]


def _read_call(folder: Path) -> dict[str, Any] | None:
    try:
        call = json.loads((folder / CALL).read_text(encoding="utf-8"))
        return call if isinstance(call["settings"], dict) and call["files"] is not None else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _difference(earlier: dict[str, Any] | None, settings: Mapping[str, Any]) -> str:
    if earlier is None:
        return "an unknown call"
    names = [name for name, value in settings.items() if earlier["settings"].get(name) != value]
    return f"another {' and '.join(names)}" if names else "other recordings or an earlier call"


def _move_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.replace(aside)
    return aside
