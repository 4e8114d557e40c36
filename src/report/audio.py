"""What an audio player of the report plays."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import quote_from_bytes

from src.utils.errors import UserError

EMBEDDED_AT_MOST = 50_000_000  # bytes of audio; a browser holds the page several times over
_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
}


def sources(
    paths: Sequence[str | None], folder: Path, audio: Literal["link", "embed"]
) -> list[str | None]:
    """A URL for each recording that is there: relative to `folder`, or with the bytes in it.

    Raises:
        UserError: more than `EMBEDDED_AT_MOST` bytes to embed, or `audio` is neither word.
    """
    if audio not in ("link", "embed"):
        raise UserError(f"audio={audio} is not known: it is link or embed")
    files = [Path(path) if path and Path(path).is_file() else None for path in paths]
    if audio == "link":
        folder = folder.resolve()
        return [None if file is None else _link(file, folder) for file in files]
    size = sum(file.stat().st_size for file in files if file is not None)
    if size > EMBEDDED_AT_MOST:
        raise UserError(
            f"{size / 1e6:.0f} MB of audio are too much to embed in one page (at most "
            f"{EMBEDDED_AT_MOST / 1e6:.0f} MB): link to the recordings instead"
        )
    return [None if file is None else _data(file) for file in files]


def _link(file: Path, folder: Path) -> str:
    file = Path(os.path.abspath(file))  # noqa: PTH100 (a link to a recording keeps its name)
    try:
        relative = os.path.relpath(file, folder)
    except ValueError:  # on another drive of Windows
        return file.as_uri()
    url = quote_from_bytes(os.fsencode(Path(relative).as_posix()))
    # `a:b.wav` would read as a scheme; quoting leaves no colon, but a dot makes it plain
    return url if url.startswith(".") else f"./{url}"


def _data(file: Path) -> str:
    kind = _TYPES.get(file.suffix.lower(), "audio/wav")
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
