"""Sentences of a text file, to be spoken: runs of words drawn from its lines.

>>> TextSentences("novels.txt.xz").sentence(random.Random(1), split="train")
'had never been seen in the village'
"""

from __future__ import annotations

import random
from itertools import accumulate
from pathlib import Path

import numpy as np

from src.datasets.sentence_grammar import sentence_split
from src.text_encoder.normalize import normalize_text
from src.utils.errors import UserError
from src.utils.text_files import read_lines

MIN_WORDS, MAX_WORDS = 3, 24
ATTEMPTS = 10_000


class TextSentences:
    """Draws 3 to 24 consecutive words of a line; a whole line belongs to one split for ever.

    Args:
        path: one sentence a line: .txt, .gz or .xz.

    Raises:
        UserError: there is no such file, or no line of three words.
    """

    def __init__(self, path: str) -> None:
        texts = (normalize_text(line.strip()) for line in read_lines(Path(path)))
        lines = [text.encode() for text in texts if text.count(" ") >= MIN_WORDS - 1]
        if not lines:
            raise UserError(f"{path} has no line of {MIN_WORDS} words or more to speak.")
        self.path = path
        # one block: a forked worker that reads a list of strings copies its pages
        self._block = b"".join(lines)
        self._ends = np.fromiter(accumulate(map(len, lines), initial=0), np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def sentence(self, rng: random.Random, split: str) -> str:
        """The next sentence of `rng` that belongs to `split`."""
        for _ in range(ATTEMPTS):
            number = rng.randrange(len(self))
            line = self._block[self._ends[number] : self._ends[number + 1]].decode()
            if split == sentence_split(line):
                return _some_words(line.split(), rng)
        raise UserError(f"{self.path} has hardly a line for {split!r}: give a longer text.")


def _some_words(words: list[str], rng: random.Random) -> str:
    length = min(len(words), rng.randint(MIN_WORDS, MAX_WORDS))
    start = rng.randint(0, len(words) - length)
    return " ".join(words[start : start + length])
