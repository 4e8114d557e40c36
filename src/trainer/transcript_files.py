"""A file a recording: its text, and what else was asked for."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from src.decoding import Word
from src.trainer.subtitles import to_srt, to_vtt
from src.trainer.transcript import Record
from src.utils.disk import is_full
from src.utils.errors import UserError

logger = logging.getLogger(__name__)


def to_ctm(words: Sequence[Word], name: str) -> str:
    """NIST's CTM, which sclite reads: `recording channel start duration word confidence` a line.

    White space in the recording's name becomes `_`: it parts the fields.
    """
    name = re.sub(r"\s", "_", name)
    return "".join(
        f"{name} 1 {word.start:.3f} {max(word.end - word.start, 0):.3f} {word.text} "
        f"{word.confidence:.4f}\n"
        for word in words
    )


FORMATS: dict[str, Callable[[str, Sequence[Word], str], str]] = {
    "srt": lambda text, words, name: to_srt(words),
    "vtt": lambda text, words, name: to_vtt(words),
    "ctm": lambda text, words, name: to_ctm(words, name),
}
ALWAYS = {"txt": lambda text, words, name: text + "\n"}
FOLDERS = {"txt": "text"}  # of each format, where it has not the format's name


def check_formats(formats: Sequence[str]) -> None:
    """Raises `UserError` for one that is not known."""
    if unknown := sorted(set(formats) - FORMATS.keys()):
        raise UserError(f"formats={','.join(unknown)} is unknown; choose from {', '.join(FORMATS)}")


def write_files(
    record: Record, folder: Path, formats: Sequence[str], missing_only: bool = False
) -> None:
    """`folder/text/<utterance_id>.txt`, `folder/srt/<utterance_id>.srt` and so on.

    A name that the file system refuses (too long with its new ending; a folder of that name) is
    warned of and left out: the text is in `transcripts.jsonl` all the same.
    """
    name = record["utterance_id"]
    words = [Word(**word) for word in record["words"]]
    for ending, render in {**ALWAYS, **{kind: FORMATS[kind] for kind in formats}}.items():
        path = folder / FOLDERS.get(ending, ending) / f"{name}.{ending}"
        try:
            if missing_only and path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(record["text"], words, name), "utf-8", "surrogateescape")
        except OSError as error:
            if is_full(error):
                raise
            logger.warning("%s cannot be written (%s)", path, error.strerror)
