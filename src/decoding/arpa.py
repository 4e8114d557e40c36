r"""Reads an n-gram language model in the ARPA format, plain or gzipped.

The format is Doug Paul's, described in SRILM's ngram-format(5): after `\data\` the number of
n-grams of each order, then a section per order with one n-gram a line, `log10 P`, the words and,
where something may follow, the log10 back-off weight; `\end\` closes it.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from src.utils.errors import UserError

BLOCK = 100_000  # lines parsed at a time; bounds the memory that Python objects take
MAX_PREAMBLE = 1000  # lines before the counts
GZIP_MAGIC = b"\x1f\x8b"
COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)\s*")


class ArpaSection(NamedTuple):
    """All n-grams of one order, in the file's order."""

    words: np.ndarray  # int32 [n, order], positions in the list of unigrams
    log10_prob: np.ndarray  # float32 [n]
    log10_backoff: np.ndarray  # float32 [n], 0 where the file gives none


class Arpa(NamedTuple):
    words: list[str]  # the unigrams
    sections: list[ArpaSection]  # sections[n - 1] has order n


def read_arpa(path: Path) -> Arpa:
    """The whole model, some 5 microseconds an n-gram.

    Raises:
        UserError: no such file, cut short, not the ARPA format, or at odds with its own counts.
    """
    try:
        with open_arpa(path) as file:
            return _Reader(path, file).read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{path} is cut short or damaged ({error}): download or make it again."
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read as a language model: {error.strerror}.") from None


def open_arpa(path: Path) -> BinaryIO:
    """The bytes of a plain or gzipped file, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    # The buffer's readline is C, GzipFile's own is Python.
    return io.BufferedReader(gzip.open(path), 1 << 20) if packed else path.open("rb")  # type: ignore[arg-type, return-value]


class _Reader:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.lines: Iterator[bytes] = iter(file)
        self.number = 0  # of the line read last
        self.place = "its header"

    def read(self) -> Arpa:
        counts = self._counts()
        ids: dict[bytes, int] = {}
        sections = []
        for order, count in enumerate(counts, 1):
            self.place = f"the section \\{order}-grams"
            sections.append(self._section(order, count, ids, last=order == len(counts)))
            heading = f"\\{order + 1}-grams:" if order < len(counts) else "\\end\\"
            self._expect(self._next_line(), heading, order, count)
        try:
            words = [word.decode() for word in ids]
        except UnicodeDecodeError:
            raise UserError(f"{self.path} has words that are not UTF-8: convert it.") from None
        return Arpa(words, sections)

    def _counts(self) -> list[int]:
        preamble = (line.strip() for line in islice(self.lines, MAX_PREAMBLE))
        for self.number, line in enumerate(preamble, 1):
            if line == b"\\data\\":
                break
        else:
            raise UserError(f"{self.path} is not an ARPA file: it has no \\data\\ line.")
        counts: list[int] = []
        while match := COUNT.fullmatch(line := self._next_line()):
            if int(match[1]) != len(counts) + 1:
                raise self._error(f"line {self.number} counts out of order")
            counts.append(int(match[2]))
        if not counts or line != b"\\1-grams:":
            raise self._error(f"line {self.number} is neither a count nor \\1-grams:")
        return counts

    def _section(self, order: int, count: int, ids: dict[bytes, int], last: bool) -> ArpaSection:
        blocks = [self._block(order, size, ids, last) for size in _block_sizes(count)]
        blocks.append(_empty(order))
        words, log10_prob, log10_backoff = (np.concatenate(part) for part in zip(*blocks))
        return ArpaSection(words, log10_prob, log10_backoff)

    def _block(self, order: int, size: int, ids: dict[bytes, int], last: bool) -> ArpaSection:
        lines = list(islice(self.lines, size))
        rows = list(map(bytes.split, lines))
        if order == 1:
            self._add_words(rows, ids)
        has_backoff = _column(map(len, rows), np.int32) == order + 2
        try:
            log10_prob = _column(map(float, map(itemgetter(0), rows)), np.float32)
            backoff = [row[-1] if has else 0 for row, has in zip(rows, has_backoff)]
            log10_backoff = _column(map(float, backoff), np.float32)
            words = np.empty((len(rows), order), np.int32)
            for position in range(order):
                column = map(itemgetter(position + 1), rows)
                words[:, position] = _column(map(ids.__getitem__, column), np.int32)
        except (ValueError, KeyError, IndexError):
            sound = False
        else:
            sizes_fit = all(len(row) == order + 1 + has for row, has in zip(rows, has_backoff))
            sound = sizes_fit and not (last and has_backoff.any())
            sound = sound and bool((log10_prob <= 0).all() and np.isfinite(log10_prob).all())
            sound = sound and bool(np.isfinite(log10_backoff).all())
        if not sound or len(lines) < size:
            self._blame(lines, order, ids, last)
        self.number += size
        return ArpaSection(words, log10_prob, log10_backoff)

    def _add_words(self, rows: list[list[bytes]], ids: dict[bytes, int]) -> None:
        for number, row in enumerate(rows, self.number + 1):
            if len(row) > 1:
                if row[1] in ids:
                    raise self._error(f"line {number} repeats the word {_text(row[1])}")
                ids[row[1]] = len(ids)

    def _blame(self, lines: list[bytes], order: int, ids: dict[bytes, int], last: bool) -> None:
        """Raises for the first line that is at fault."""
        sizes = (order + 1,) if last else (order + 1, order + 2)
        for line in lines:
            self.number += 1
            row = line.split()
            if not row or line.startswith(b"\\"):
                raise self._error(f"it ends at line {self.number}, before all its n-grams came")
            if not line.endswith(b"\n"):
                raise self._cut_short()
            if len(row) not in sizes:
                raise self._error(
                    f"line {self.number} is not a log10 probability, {order} "
                    f"word{'s' * (order > 1)}{'' if last else ' and perhaps a back-off'}: "
                    f"{_text(line)}"
                )
            if not _is_number(row[0], ceiling=0) or not all(map(_is_number, row[order + 1 :])):
                raise self._error(
                    f"line {self.number} has a number that is no log10 probability: {_text(line)}"
                )
            for word in row[1 : order + 1]:
                if word not in ids:
                    raise self._error(
                        f"line {self.number} has the word {_text(word)}, which no unigram has"
                    )
        raise self._cut_short()

    def _next_line(self) -> bytes:
        """The next line with something on it, stripped."""
        for line in self.lines:
            self.number += 1
            if stripped := line.strip():
                return stripped
        raise self._cut_short()

    def _expect(self, line: bytes, heading: str, order: int, count: int) -> None:
        if line != heading.encode():
            raise self._error(
                f"line {self.number} should be {heading} after the {count} n-grams of order "
                f"{order} that \\data\\ counts: {_text(line)}"
            )

    def _cut_short(self) -> UserError:
        return UserError(
            f"{self.path} is cut short at line {self.number}, in {self.place}: "
            "download or make it again."
        )

    def _error(self, fault: str) -> UserError:
        return UserError(f"{self.path} is malformed in {self.place}: {fault}.")


def _block_sizes(count: int) -> Iterator[int]:
    for start in range(0, count, BLOCK):
        yield min(BLOCK, count - start)


def _empty(order: int) -> ArpaSection:
    none = np.empty(0, np.float32)
    return ArpaSection(np.empty((0, order), np.int32), none, none)


def _column(values: Iterable[float], dtype: type) -> np.ndarray:
    return np.fromiter(values, dtype)


def _is_number(field: bytes, ceiling: float = math.inf) -> bool:
    try:
        return math.isfinite(float(field)) and float(field) <= ceiling
    except ValueError:
        return False


def _text(line: bytes) -> str:
    return repr(line.decode(errors="replace").strip()[:80])
