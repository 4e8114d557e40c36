"""`report.html` of transcripts: one file that opens in any browser, with no network.

write_report(records, metrics.summary(), "saved/RUN/test/report.html", "test")

What is computed, is computed here; the page's script (report.js) sorts, searches, draws and
plays. Style and script are allowed by their hash and nothing else is (Content-Security-Policy),
so that a transcript or a file name cannot bring code of its own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, Literal

from src.report.audio import sources
from src.report.calibration import calibration
from src.report.confusions import confusions
from src.report.rows import Row, make_row
from src.utils.atomic_file import write_text_atomically
from src.utils.errors import UserError

PARTS = ("theme", "report")
_HERE = Path(__file__).parent


def write_report(
    records: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Mapping[str, Any]],
    path: str | Path,
    title: str,
    audio: Literal["link", "embed"] = "link",
) -> None:
    """Writes the page; what a record lacks, the page does without.

    Args:
        records: an utterance each, as in `transcripts.jsonl`: `utterance_id`, `text` (or
            `error`, why there is none); where known `reference`, `path`, `duration` in
            seconds, `confidence` in [0, 1], `words` as of `src.decoding.Word`.
        summary: decoder -> figures, as of `RecognitionMetrics.summary()`; the records are the
            first one's. May be empty.
        path: file to write; folders are made.
        title: of the page, such as the name of the split.
        audio: `link` plays the recordings from where they lie, by a path relative to the page;
            `embed` puts them into the page, for a few that shall travel with it.

    Raises:
        UserError: the page cannot be written, or the recordings are too large to embed.
    """
    path = Path(path)
    rows = [make_row(record) for record in records if "error" not in record]
    failures = [record for record in records if "error" in record]
    playable = sources([row.path for row in rows], path.parent, audio)
    data = {
        "rows": [_for_page(row, source) for row, source in zip(rows, playable)],
        "failures": [[_name(record), str(record["error"])] for record in failures],
        "summary": [{"decoder": name, **_measured(rates)} for name, rates in summary.items()],
        "confusions": confusions(rows),
        "calibration": calibration(rows),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, _page(title, data))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def _measured(rates: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a clock says: the same transcripts make the same page."""
    return {name: value for name, value in rates.items() if name != "decode_seconds"}


def _name(record: Mapping[str, Any]) -> str:
    return str(record.get("utterance_id") or record.get("path") or "")


def _for_page(row: Row, source: str | None) -> dict[str, Any]:
    """Short keys, nothing that is absent: a page of 10,000 utterances stays a few megabytes."""
    fields = {
        "id": row.utterance_id,
        "ref": row.reference,
        "hyp": row.text,
        "ops": row.edits,
        "dur": row.duration,
        "conf": _rounded(row.confidence),
        "words": [
            [_rounded(word.start), _rounded(word.end), _rounded(word.confidence)]
            for word in row.words
        ],
        "src": source,
    }
    return {key: value for key, value in fields.items() if value not in (None, [])}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _page(title: str, data: dict[str, Any]) -> str:
    style, script = (
        "".join((_HERE / f"{part}.{kind}").read_text(encoding="utf-8") for part in PARTS)
        for kind in ("css", "js")
    )
    # Within <script> only `</script` and `<!--` mean anything; without `<` there is neither.
    # Escapes for all that is not ASCII also carry file names that are not valid UTF-8.
    safe = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    template = Template((_HERE / "template.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=html.escape(title),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=safe,
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
