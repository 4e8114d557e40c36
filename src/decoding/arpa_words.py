"""The words of an n-gram language model, read from its ARPA file.

KenLM itself cannot list them, and both library decoders need them: pyctcdecode to tell unknown
words early, flashlight as its lexicon.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

from src.decoding.arpa import open_arpa
from src.utils.errors import UserError

_SPECIAL = {"<unk>", "<s>", "</s>"}
_BINARY = re.compile(rb"mmap lm http://kheafield.com/code format version (\d+)")


def arpa_words(path: str | Path) -> list[str]:
    """The unigrams of an ARPA file (plain or gzip) in its order, without `<s> </s> <unk>`.

    Raises:
        UserError: no such file, a KenLM binary, or no whole unigram section.
    """
    path = Path(path)
    try:
        head = path.open("rb").read(64)
    except OSError as error:
        raise UserError(
            f"the language model {path} cannot be read ({error.strerror}); name an ARPA file in lm"
        ) from None
    if binary := _BINARY.match(head):
        raise UserError(
            f"{path} is a KenLM binary (format version {int(binary[1])}), which does not list its "
            "words; name the ARPA file that it was built from in lm"
        )
    try:
        with io.TextIOWrapper(open_arpa(path), encoding="utf-8") as file:
            words = list(_unigrams(file))
    except (EOFError, ValueError, OSError) as error:
        raise UserError(
            f"{path} is no whole ARPA file ({error}); make or download it again"
        ) from None
    return [word for word in words if word.lower() not in _SPECIAL]


def _unigrams(lines: Iterator[str]) -> Iterator[str]:
    declared, read = 0, 0
    for line in lines:
        if line.startswith("ngram 1="):
            declared = int(line.partition("=")[2])
        if line.startswith("\\1-grams:"):
            break
    for line in lines:
        if not line.strip():
            continue
        if line.startswith("\\"):
            break
        columns = line.split()
        if len(columns) < 2:
            raise ValueError(f"{line.strip()!r} is not a unigram")
        yield columns[1]
        read += 1
    if not declared or read != declared:
        raise ValueError(f"{read} of {declared} declared unigrams are there")


def unreadable_lm(path: str | Path, error: Exception) -> UserError:
    """The error for an ARPA file whose words could be read, but which KenLM refuses."""
    reason = " ".join(str(error).split())
    return UserError(f"KenLM cannot read {path} ({reason}); make or download it again")
