"""A folder or a list of recordings to transcribe, with or without reference transcripts.

CustomDirAudioDataset("recordings")
CustomDirAudioDataset("recordings.txt")                   # a path a line
CustomDirAudioDataset("recordings", transcription_dir="transcripts")
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from src.datasets.base_dataset import BaseDataset, Row
from src.text_encoder.normalize import normalize_text
from src.utils.audio import AUDIO_EXTENSIONS, audio_duration
from src.utils.errors import UserError
from src.utils.files import scan_files

logger = logging.getLogger(__name__)

LIST_EXTENSIONS = (".txt", ".lst")


class CustomDirAudioDataset(BaseDataset):
    """Recordings in `audio_dir` at any depth, sorted by path; or those of a list, in its order.

    In a list (`.txt` or `.lst`) each line is a path, absolute or from the list's folder; empty
    lines and those that start with # are passed over, a recording that is named twice is one.
    Its recordings are then named as if the folder that holds them all had been given.

    `utterance_id` is the path below `audio_dir` without its extension (with it, where two
    recordings differ in nothing else). A transcript is the `.txt` at the same place below
    `transcription_dir`, or else the only one of that name anywhere in it; recordings without
    one have `text` None.

    A recording that is missing or whose header cannot be read is no row but an entry of
    `failures` (`{"utterance_id", "path", "error", "position"}`, the last among all that were
    found), so that the others are transcribed; damage behind an intact header shows when the item
    is read.

    Args:
        audio_dir: a folder, one audio file, or a list of paths.
        transcription_dir: a folder of `.txt` files in UTF-8; may be `audio_dir` itself.
        options: as for `BaseDataset`.

    Raises:
        UserError: a folder that is missing, no audio, nothing readable, no transcript that
            matches any recording, a transcript that is not UTF-8.
    """

    def __init__(
        self,
        audio_dir: str,
        transcription_dir: str | None = None,
        **options: Any,
    ) -> None:
        root, names = _find_audio(Path(audio_dir))
        texts = _read_texts(names, Path(transcription_dir)) if transcription_dir else {}
        self.failures: list[dict[str, Any]] = []
        index: list[Row] = []
        headers = _read_headers([root / name for name in names])
        for position, (name, utterance_id, (seconds, error)) in enumerate(
            zip(names, _utterance_ids(names), headers)
        ):
            row = {"utterance_id": utterance_id, "path": str(root / name)}
            if error is None:
                index.append({**row, "text": texts.get(name), "duration": seconds, "speaker": ""})
            else:
                self.failures.append({**row, "error": error, "position": position})
        if self.failures:
            logger.warning(
                "%s: %d of %d recordings cannot be read: %s",
                audio_dir,
                len(self.failures),
                len(names),
                ", ".join(failure["path"] for failure in self.failures[:3]),
            )
        if not index:
            raise UserError(
                f"{audio_dir} has no readable recording: {len(names)} failed, the first with: "
                f"{self.failures[0]['error']}"
            )
        super().__init__(index, name=f"CustomDirAudio {audio_dir}", **options)


def _find_audio(audio_dir: Path) -> tuple[Path, list[str]]:
    """The folder that names are relative to, and the names of the recordings below it."""
    if audio_dir.is_file():
        if audio_dir.suffix.lower() in LIST_EXTENSIONS:
            return _read_list(audio_dir)
        return audio_dir.parent, [audio_dir.name]
    if not audio_dir.is_dir():
        raise UserError(f"audio_dir {audio_dir} does not exist: give a folder of recordings.")
    dangling: list[str] = []
    found = sorted([*scan_files(audio_dir, dangling), *dangling])
    names = [name for name in found if name.lower().endswith(AUDIO_EXTENSIONS)]
    if not names:
        extensions = " ".join(AUDIO_EXTENSIONS)
        raise UserError(f"audio_dir {audio_dir} has no recordings ({extensions}).")
    return audio_dir, names


def _read_list(path: Path) -> tuple[Path, list[str]]:
    # names are bytes to the system; those that are no UTF-8 come through as they are
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("\ufeff")
    folder = os.path.abspath(path.parent)  # noqa: PTH100 - resolve() would follow links
    listed = [line.strip() for line in lines.splitlines()]
    paths = [
        os.path.normpath(os.path.join(folder, line))  # noqa: PTH118
        for line in listed
        if line and not line.startswith("#")
    ]
    if not paths:
        raise UserError(f"{path} lists no recordings: write a path a line.")
    root = os.path.commonpath([os.path.dirname(name) for name in paths])  # noqa: PTH120
    return Path(root), [os.path.relpath(name, root) for name in dict.fromkeys(paths)]


def _utterance_ids(names: list[str]) -> list[str]:
    stems = Counter(_without_extension(name) for name in names)
    return [
        name if stems[_without_extension(name)] > 1 else _without_extension(name) for name in names
    ]


def _read_headers(paths: list[Path]) -> list[tuple[float, str | None]]:
    """Seconds and error of each recording."""

    def read(path: Path) -> tuple[float, str | None]:
        try:
            return audio_duration(path), None
        except UserError as error:
            return 0.0, str(error)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(read, paths))


def _read_texts(names: list[str], folder: Path) -> dict[str, str]:
    """Name of a recording -> its normalised transcript, for those that have one."""
    if not folder.is_dir():
        raise UserError(f"transcription_dir {folder} does not exist: give a folder of .txt files.")
    by_path: dict[str, str] = {}
    by_stem: dict[str, list[str]] = {}
    for transcript in scan_files(folder):
        if transcript.lower().endswith(".txt"):
            by_path[_key(transcript)] = transcript
            by_stem.setdefault(_stem(transcript), []).append(transcript)
    places_of_stem = Counter(stem for stem, _ in {(_stem(name), _key(name)) for name in names})

    texts = {}
    for name in names:
        match = by_path.get(_key(name))
        namesakes = by_stem.get(_stem(name), [])
        if match is None and len(namesakes) == 1 and places_of_stem[_stem(name)] == 1:
            match = namesakes[0]
        if match is not None:
            texts[name] = _read_text(folder / match)
    if not texts:
        raise UserError(
            f"no .txt in transcription_dir {folder} is named like a recording, such as "
            f"{_without_extension(names[0])}.txt: rename them or leave transcription_dir out."
        )
    if len(texts) < len(names):
        logger.warning(
            "%d of %d recordings have no transcript in %s",
            len(names) - len(texts),
            len(names),
            folder,
        )
    return texts


def _read_text(path: Path) -> str:
    try:
        return normalize_text(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as UTF-8.") from None


def _without_extension(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _key(name: str) -> str:
    # File systems differ in how they spell é: one code point or two.
    return unicodedata.normalize("NFC", _without_extension(name))


def _stem(name: str) -> str:
    return PurePosixPath(_key(name)).name
