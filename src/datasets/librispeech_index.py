"""The index of one LibriSpeech part: `part/speaker/chapter/{speaker-chapter-utterance.ext,
speaker-chapter.trans.txt}`.

Rows have `path` relative to the part, so that data can be moved, and `text` as in the
transcript, so that the cached index outlives a change of the normalisation.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from src.datasets.base_dataset import Row
from src.datasets.index_cache import Index, load_index, save_index
from src.utils.audio import AUDIO_EXTENSIONS, audio_duration
from src.utils.cache import user_cache
from src.utils.errors import UserError
from src.utils.files import fingerprint, is_writable, scan_files

logger = logging.getLogger(__name__)


def librispeech_index(
    folder: Path, cache_dir: str | Path | None = None, workers: int | None = None
) -> list[Row]:
    """Rows of the part in `folder`, from the cache unless a file there changed.

    Args:
        cache_dir: where the index is kept; by default beside the part (`<part>.index.jsonl`),
            or in the user's cache where that folder is read-only.
        workers: threads that read audio headers.

    Raises:
        UserError: no transcripts, an id that occurs twice, or no readable recording.
    """
    files = _part_files(folder)
    key = fingerprint(files)
    cache_file = _cache_file(folder, cache_dir)
    index = load_index(cache_file, key)
    if index is None:
        started = time.perf_counter()
        index = _build_index(folder, list(files), workers)
        save_index(cache_file, key, index)
        seconds = time.perf_counter() - started
        logger.info("%s: indexed %d utterances in %.1f s", folder, len(index.rows), seconds)
    else:
        logger.info("%s: %d utterances from the index %s", folder, len(index.rows), cache_file)
    for warning in index.warnings:
        logger.warning("%s: %s", folder, warning)
    return index.rows


def part_fingerprint(folder: Path) -> str | None:
    """Changes when a transcript or a recording of the part does; None for a folder that is gone."""
    return fingerprint(_part_files(folder)) if folder.is_dir() else None


def _part_files(folder: Path) -> dict[str, os.stat_result]:
    return {
        name: status
        for name, status in scan_files(folder).items()
        if _is_transcript(name) or _is_audio(name)
    }


def _is_transcript(name: str) -> bool:
    return name.endswith(".trans.txt")


def _is_audio(name: str) -> bool:
    return name.lower().endswith(AUDIO_EXTENSIONS)


def _cache_file(folder: Path, cache_dir: str | Path | None) -> Path:
    if cache_dir is None and is_writable(folder.parent):
        return folder.parent / f"{folder.name}.index.jsonl"
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    return Path(cache_dir or user_cache("index")) / f"{folder.name}-{place}.index.jsonl"


def _build_index(folder: Path, files: list[str], workers: int | None) -> Index:
    transcripts = _collect_transcripts(folder, filter(_is_transcript, files))
    recordings = _collect_recordings(folder, filter(_is_audio, files))
    warnings = []
    if silent := sorted(transcripts.keys() - recordings.keys()):
        warnings.append(f"{_count(silent, 'transcripts')} without a recording, left out")
    if untold := sorted(recordings.keys() - transcripts.keys()):
        warnings.append(f"{_count(untold, 'recordings')} without a transcript, left out")

    ids = sorted(transcripts.keys() & recordings.keys())
    durations = _read_durations([folder / recordings[name] for name in ids], workers)
    if corrupt := [recordings[name] for name, seconds in zip(ids, durations) if seconds is None]:
        warnings.append(f"{_count(corrupt, 'recordings')} cannot be read, left out")
    rows = [
        {
            "utterance_id": utterance_id,
            "path": recordings[utterance_id],
            "text": transcripts[utterance_id],
            "duration": seconds,
            "speaker": utterance_id.split("-")[0],
        }
        for utterance_id, seconds in zip(ids, durations)
        if seconds is not None
    ]
    if not rows:
        raise UserError(f"{folder} has no usable utterance: {'; '.join(warnings)}.")
    return Index(rows, warnings)


def _collect_transcripts(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Text of each utterance."""
    transcripts: dict[str, str] = {}
    for name in names:
        for utterance_id, text in _read_transcripts(folder / name):
            if utterance_id in transcripts:
                raise UserError(
                    f"{folder}: utterance {utterance_id} has two transcripts, the second in "
                    f"{name}: remove one."
                )
            transcripts[utterance_id] = text
    if not transcripts:
        raise UserError(
            f"{folder} is no LibriSpeech part, it holds no transcripts (*.trans.txt): check the "
            "path, or remove the folder if it is an official part, to download it again."
        )
    return transcripts


def _collect_recordings(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """File name of each utterance."""
    recordings: dict[str, str] = {}
    for name in names:
        utterance_id = PurePosixPath(name).stem
        if utterance_id in recordings:
            raise UserError(
                f"{folder}: utterance {utterance_id} has two recordings, "
                f"{recordings[utterance_id]} and {name}: remove one."
            )
        recordings[utterance_id] = name
    return recordings


def _read_transcripts(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as UTF-8.") from None
    for line in lines:
        if line.strip():
            utterance_id, _, text = line.strip().partition(" ")
            yield utterance_id, text


def _read_durations(paths: list[Path], workers: int | None) -> list[float | None]:
    def read(path: Path) -> float | None:
        try:
            return audio_duration(path)
        except UserError:
            return None

    # Threads: a cold disk, not the processor, is what takes the time.
    with ThreadPoolExecutor(workers) as pool:
        durations = pool.map(read, paths)
        return list(tqdm(durations, "indexing", len(paths), unit=" files", disable=None))


def _count(names: list[str], what: str) -> str:
    first = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} {what} ({first})"
