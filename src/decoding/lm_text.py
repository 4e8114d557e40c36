"""Text files to word ids, the input of language-model estimation.

    corpus = read_corpus([Path("novels.txt.xz"), Path("-")])

One sentence a line, in .txt, .gz or .xz (told by the suffix), `-` for standard input.
"""

from __future__ import annotations

import array
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.text_encoder.normalize import normalize_text
from src.utils.errors import UserError
from src.utils.text_files import read_lines

UNK, BOS, EOS = 0, 1, 2
SPECIAL_WORDS = ["<unk>", "<s>", "</s>"]

# most lines of a normalised text: nothing is left for `normalize_text` to change but spaces
_PLAIN_LINE = re.compile(r"[a-z ]*\n?")


@dataclass(frozen=True)
class Corpus:
    """Sentences as one row of word ids: <s> word ... word </s> <s> word ... </s>."""

    words: list[str]  # id -> word; begins with SPECIAL_WORDS, then in order of appearance
    tokens: np.ndarray  # int32 [T]

    @property
    def sentences(self) -> int:
        return int(np.count_nonzero(self.tokens == BOS))

    @property
    def words_in_text(self) -> int:
        return len(self.tokens) - 2 * self.sentences

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> Corpus:
        """Normalises each line; lines without a word are left out."""
        ids: defaultdict[str, int] = defaultdict()
        ids.default_factory = ids.__len__
        for word in SPECIAL_WORDS:
            ids[word]
        tokens = array.array("i")
        for line in lines:
            words = (line if _PLAIN_LINE.fullmatch(line) else normalize_text(line)).split()
            if words:
                tokens.append(BOS)
                tokens.extend(map(ids.__getitem__, words))
                tokens.append(EOS)
        return cls(list(ids), np.frombuffer(tokens, np.int32))


def read_corpus(paths: Iterable[Path]) -> Corpus:
    """All the files as one corpus.

    Raises `UserError` for a file that is missing, damaged or not UTF-8, and where no word is found.
    """
    paths = list(paths)
    corpus = Corpus.from_lines(itertools.chain.from_iterable(map(read_lines, paths)))
    if corpus.sentences == 0:
        raise UserError(f"no words in {', '.join(map(str, paths))}: give English text")
    return corpus
