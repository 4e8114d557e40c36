"""Lines of text files, compressed or not."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from src.utils.errors import UserError


def read_lines(path: Path) -> Iterator[str]:
    """Lines of a .txt, .gz or .xz (told by the suffix); `-` is standard input.

    Raises:
        UserError: the file is missing, damaged or not UTF-8.
    """
    try:
        with _open(path) as file:
            yield from file
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is damaged or cut short: make it again ({error})") from error
    except OSError as error:
        raise UserError(f"cannot read the text {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: convert it first ({error.reason})") from error


def _open(path: Path) -> Any:
    if path == Path("-"):
        return nullcontext(sys.stdin)
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
    return openers.get(path.suffix, open)(path, "rt", encoding="utf-8")
