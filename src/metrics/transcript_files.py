"""Transcripts out of the files that recognisers and scoring tools write.

    read_transcripts("refs/", "reference")              # *.txt, or LibriSpeech's *.trans.txt
    read_transcripts("hyp.trn", "hypothesis")           # sclite: `words (utterance-id)`
    read_transcripts("hyp.ctm", "hypothesis")           # `recording channel start seconds word`
    read_transcripts("saved/RUN/test", "hypothesis")    # what inference.py wrote
    read_transcripts("manifest.jsonl", "reference")     # also NeMo's manifests
    read_transcripts("data/test/text", "reference")     # Kaldi: `utterance-id words`

Formats: sclite's are in the manual of NIST's SCTK, the manifest's in NeMo's documentation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from src.utils.errors import UserError
from src.utils.files import scan_files

Role = Literal["reference", "hypothesis"]
Record = dict[str, Any]

# NeMo's manifests carry the reference as `text` and a prediction beside it as `pred_text`.
_TEXT_KEYS: dict[Role, tuple[str, ...]] = {
    "reference": ("reference", "text"),
    "hypothesis": ("pred_text", "prediction", "text"),
}
_ID_KEYS = ("utterance_id", "id", "audio_filepath", "path")


def read_transcripts(path: str | Path, role: Role) -> dict[str, Record]:
    """Utterance id -> record with `text` as it is written, in the file's order.

    A record keeps what else its format knows: `words` with times and confidences (CTM), all keys
    of a JSON line. The id of a `.txt` is its path below the folder, without the ending; that of
    a CTM is its recording, with `_channel` behind it where the recording has several.

    Args:
        role: what is wanted of a file that may have both.

    Raises:
        UserError: missing, unreadable, not in the format its name says, an id twice, no
            transcript at all.
    """
    path = Path(path)
    if path.is_dir():
        found = _read_folder(path, role)
    elif path.is_file():
        found = _read_file(path, role)
    else:
        raise UserError(f"{path} does not exist: name a file or a folder of transcripts")
    if not found:
        raise UserError(f"{path} has no transcript in it")
    return found


def _read_folder(folder: Path, role: Role) -> dict[str, Record]:
    if (folder / "transcripts.jsonl").is_file():
        return _read_file(folder / "transcripts.jsonl", role)
    names = [name for name in scan_files(folder) if name.endswith(".txt")]
    if not names:
        runs = sorted(folder.glob("*/transcripts.jsonl"))
        hint = f": name one of its folders, such as {runs[0].parent}" if runs else ""
        raise UserError(f"{folder} has no .txt file and no transcripts.jsonl{hint}")
    lists = [name for name in names if name.endswith(".trans.txt")]
    if lists:
        lines = ((where, row) for name in lists for where, row in _kaldi(folder / name, role))
        return _unique(lines)
    return {
        str(PurePosixPath(name).with_suffix("")): {"text": _read(folder / name)} for name in names
    }


def _read_file(path: Path, role: Role) -> dict[str, Record]:
    if path.suffix.lower() == ".ctm":
        return _ctm(path)
    return _unique(_READERS.get(path.suffix.lower(), _kaldi)(path, role))


def _unique(rows: Iterator[tuple[str, tuple[str, Record]]]) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for where, (utterance_id, record) in rows:
        if utterance_id in found:
            raise UserError(f"{where} has {utterance_id} a second time: an id must be unique")
        found[utterance_id] = record
    return found


def _trn(path: Path, _: Role) -> Iterator[tuple[str, tuple[str, Record]]]:
    for where, line in _lines(path):
        text, bracket, utterance_id = line.removesuffix(")").rpartition("(")
        if not bracket or not line.endswith(")") or not utterance_id.strip():
            raise UserError(f"{where} does not end in (utterance-id), as a .trn's lines do")
        if {"{", "/", "}"} <= set(text.split()):
            raise UserError(f"{where} has alternatives {{ a / b }}, which are not understood")
        yield where, (utterance_id.strip(), {"text": text.strip()})


def _kaldi(path: Path, _: Role) -> Iterator[tuple[str, tuple[str, Record]]]:
    for where, line in _lines(path):
        utterance_id, *words = line.split(maxsplit=1)
        yield where, (utterance_id, {"text": words[0] if words else ""})


def _jsonl(path: Path, role: Role) -> Iterator[tuple[str, tuple[str, Record]]]:
    for where, line in _lines(path):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise UserError(f"{where} is not a JSON object; .jsonl has one a line")
        key = next((key for key in _ID_KEYS if row.get(key) not in (None, "")), None)
        if key is None:
            raise UserError(f"{where} has none of the keys {', '.join(_ID_KEYS)}")
        utterance_id = str(row[key])
        if key in ("audio_filepath", "path"):
            utterance_id = PurePosixPath(utterance_id).stem
        text = _text_of(row, role)
        if text is not None:
            yield where, (utterance_id, {**row, "text": text})
        elif role == "hypothesis" and "error" not in row:
            raise UserError(f"{where} has none of the keys {', '.join(_TEXT_KEYS[role])}")


def _text_of(row: Record, role: Role) -> str | None:
    """None where there is none, such as for a recording that could not be read."""
    keys = _TEXT_KEYS[role]
    if role == "reference" and "score" in row:  # a line of inference.py: its `text` was heard
        keys = ("reference",)
    return next((row[key] for key in keys if isinstance(row.get(key), str)), None)


def _ctm(path: Path) -> dict[str, Record]:
    recordings: dict[tuple[str, str], list[Record]] = {}
    for where, line in _lines(path):
        fields = line.split()
        try:
            recording, channel, start, seconds, word = fields[:5]
            row = {"text": word, "start": float(start), "end": float(start) + float(seconds)}
            if len(fields) > 5 and fields[5] != "NA":
                row["confidence"] = float(fields[5])
        except ValueError:
            raise UserError(
                f"{where} is not `recording channel start seconds word [confidence]`, as a .ctm's "
                "lines are"
            ) from None
        recordings.setdefault((recording, channel), []).append(row)
    names = [recording for recording, _ in recordings]
    found = {}
    for (recording, channel), words in recordings.items():
        words.sort(key=lambda word: word["start"])
        name = recording if names.count(recording) == 1 else f"{recording}_{channel}"
        found[name] = {"text": " ".join(word["text"] for word in words), "words": words}
    return found


_READERS: dict[str, Callable[[Path, Role], Iterator[tuple[str, tuple[str, Record]]]]] = {
    ".trn": _trn,
    ".jsonl": _jsonl,
    ".json": _jsonl,  # NeMo's name for its manifests
}


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where each line is, and what it says; empty lines and `;;` comments are passed over."""
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if line.strip() and not line.startswith(";;"):
            yield f"{path}, line {number},", line.strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
