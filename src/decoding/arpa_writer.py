"""Writes a language model as an ARPA file, .arpa or .arpa.gz, which every toolkit reads."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from src.decoding.kneser_ney import KneserNeyModel, NGrams
from src.utils.errors import UserError

_LINES_AT_ONCE = 100_000


def check_arpa_path(path: Path) -> None:
    """Raises `UserError` where `write_arpa` could not write; asked before hours of work."""
    if not path.name.endswith((".arpa", ".arpa.gz")):
        raise UserError(f"{path}: the name of the language model must end in .arpa or .arpa.gz")
    if not path.parent.is_dir():
        raise UserError(f"no folder {path.parent} to write {path.name} to: make it first")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"cannot write {path}: give the name of a file in a folder of yours")


def write_arpa(model: KneserNeyModel, path: Path) -> None:
    """The same model gives the same bytes; a file that stands there is replaced whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed:
                    _write(model, compressed)
            else:
                _write(model, file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(model: KneserNeyModel, file: IO[bytes] | gzip.GzipFile) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
    text.write("\\data\\\n")
    for n, ngrams in enumerate(model.orders, 1):
        text.write(f"ngram {n}={len(ngrams.word)}\n")
    for n in range(1, len(model.orders) + 1):
        text.write(f"\n\\{n}-grams:\n")
        text.writelines(_entries(model, n))
    text.write("\n\\end\\\n")
    text.detach()


def _entries(model: KneserNeyModel, n: int) -> Iterator[str]:
    """Lines of log10 probability, words and, below the highest order, log10 back-off."""
    words = np.array(model.words, dtype=object)
    ngrams = model.orders[n - 1]
    for first in range(0, len(ngrams.word), _LINES_AT_ONCE):
        rows = slice(first, first + _LINES_AT_ONCE)
        texts = _texts(model.orders[:n], words, rows)
        probs = ngrams.log10_prob[rows].tolist()
        if n == len(model.orders):
            yield "".join([f"{p:.7g}\t{text}\n" for p, text in zip(probs, texts)])
        else:
            backoffs = ngrams.log10_backoff[rows].tolist()
            lines = zip(probs, texts, backoffs)
            yield "".join([f"{p:.7g}\t{text}\t{backoff:.7g}\n" for p, text, backoff in lines])


def _texts(orders: list[NGrams], words: np.ndarray, rows: slice) -> list[str]:
    """The n-grams' words, parted by spaces: walks from the last word back to the first."""
    row: np.ndarray = np.arange(len(orders[-1].word))[rows]
    texts = words[orders[-1].word[row]]
    for lower, ngrams in zip(orders[-2::-1], orders[:0:-1]):
        row = ngrams.context[row]
        texts = words[lower.word[row]] + " " + texts
    return texts.tolist()
