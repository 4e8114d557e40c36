"""Any corpus, through a NeMo-style manifest: one JSON object per line.

{"audio_filepath": "clips/a.wav", "duration": 3.2, "text": "hello"}

ManifestDataset("corpus/train.jsonl")
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from src.datasets.base_dataset import BaseDataset, Row
from src.datasets.packed import choose_pack
from src.text_encoder.normalize import normalize_text
from src.utils.audio import audio_duration
from src.utils.errors import UserError
from src.utils.files import fingerprint


class ManifestDataset(BaseDataset):
    """Utterances of a manifest, in its order.

    Keys of a line: `audio_filepath`, absolute or relative to the manifest's folder; `text`,
    which may be absent or null where there is no transcript; and optionally `duration` in
    seconds (else read from the audio's header), `speaker`, and `utterance_id` or `id` (else
    `audio_filepath` without its extension).

    A manifest that was packed (`scripts/pack_dataset.py`) is read from its pack, unless `packed`
    says otherwise; see `src.datasets.packed.choose_pack`.

    Raises:
        UserError: a missing manifest, a line that is no such object, a recording that is
            missing or unreadable, an id that occurs twice; it names the file and the line.
    """

    def __init__(
        self, path: str, packed: bool | str = "auto", sample_rate: int = 16000, **options: Any
    ) -> None:
        manifest = Path(path)
        rows = manifest_rows(manifest)
        pack = choose_pack(
            manifest, packed, sample_rate, lambda: manifest_fingerprint(manifest, rows)
        )
        if pack is None:
            fill_durations(rows)
        else:
            paths = {row["utterance_id"]: row["path"] for row in rows}
            rows = [{**row, "path": paths[row["utterance_id"]]} for row in pack.rows]
        super().__init__(rows, sample_rate=sample_rate, name=f"Manifest {path}", **options)


def manifest_rows(manifest: Path) -> list[Row]:
    """Rows of a manifest; `duration` is None where it has none."""
    if not manifest.is_file():
        raise UserError(f"manifest {manifest} does not exist: give a file of JSON lines.")
    index: dict[str, Row] = {}
    for place, entry in _read_lines(manifest):
        row = _row(entry, manifest.parent, place)
        if row["utterance_id"] in index:
            raise UserError(f"{place}: utterance {row['utterance_id']} occurs twice.")
        index[row["utterance_id"]] = row
    return list(index.values())


def manifest_fingerprint(manifest: Path, rows: list[Row]) -> str:
    """Changes when the manifest or a recording it names does."""
    names = [str(manifest), *(row["path"] for row in rows)]
    folder = str(manifest.parent)
    return fingerprint({os.path.relpath(name, folder): Path(name).stat() for name in names})


def _read_lines(manifest: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:line` and the object of each line."""
    with manifest.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{manifest}:{number}"
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise UserError(f"{place} is not JSON: {error}.") from None
            if not isinstance(entry, dict):
                raise UserError(f"{place} is not a JSON object with an audio_filepath.")
            yield place, entry


def _row(entry: dict[str, Any], folder: Path, place: str) -> Row:
    audio = entry.get("audio_filepath")
    text = entry.get("text")
    duration = entry.get("duration")
    if not isinstance(audio, str) or not audio:
        raise UserError(f"{place} has no audio_filepath.")
    if text is not None and not isinstance(text, str):
        raise UserError(f"{place}: text {text!r} is not a string.")
    if duration is not None and not (isinstance(duration, (int, float)) and duration > 0):
        raise UserError(f"{place}: duration {duration!r} is not a positive number of seconds.")
    if entry.get("offset"):
        raise UserError(f"{place}: offset is not supported: cut the recording into utterances.")
    path = folder / Path(audio).expanduser()
    if not path.is_file():
        raise UserError(f"{place}: recording {path} does not exist.")
    default_id = str(Path(audio).with_suffix(""))
    return {
        "utterance_id": str(entry.get("utterance_id", entry.get("id", default_id))),
        "path": str(path),
        "text": None if text is None else normalize_text(text),
        "duration": None if duration is None else float(duration),
        "speaker": str(entry.get("speaker", "")),
    }


def fill_durations(rows: list[Row]) -> None:
    """Reads the durations that the manifest lacks from the headers."""
    unknown = [row for row in rows if row["duration"] is None]
    with ThreadPoolExecutor() as pool:
        seconds = pool.map(audio_duration, [row["path"] for row in unknown])
        for row, duration in zip(unknown, seconds):
            row["duration"] = duration
