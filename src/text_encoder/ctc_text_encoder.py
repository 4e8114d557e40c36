"""Characters as CTC labels, and what every text encoder offers.

>>> encoder = CTCTextEncoder()
>>> encoder.decode(encoder.encode("it's on"))
"it's on"
>>> encoder.ctc_decode([0, 9, 9, 0, 9, 20])     # repeats merge, blanks part them
'iit'
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from src.text_encoder.normalize import ALPHABET, normalize_text
from src.utils.errors import UserError


class CTCTextEncoder:
    """Token 0 is the CTC blank, then one token a character of `a-z'` and space.

    Attributes: `vocab`, the string of each token, `""` for the blank; `word_boundary`, the
    character that parts words inside the vocabulary's strings; `unit`, what tokens are called;
    `files`, the names of what `save` writes; `token_counts`, see `count`, None before it.
    """

    unit = "characters"
    files: tuple[str, ...] = ("text_encoder.json",)
    token_counts: list[int] | None = None
    blank = 0
    word_boundary = " "

    def __init__(self, alphabet: str = ALPHABET) -> None:
        self.vocab = ["", *alphabet]
        self._token_of = {char: token for token, char in enumerate(self.vocab)}

    def __len__(self) -> int:
        return len(self.vocab)

    def fit(self, texts: Iterable[str]) -> CTCTextEncoder:
        """Nothing to learn from the training transcripts: the alphabet is given."""
        return self

    def count(self, texts: Iterable[str]) -> None:
        """How often each token comes in the transcripts, with a blank between any two tokens and at
        the ends: of them a decoder makes the tokens' prior probabilities (arXiv 1507.08240)."""
        counts: Counter[int] = Counter()
        for text in texts:
            tokens = self.encode(text)
            counts.update(tokens)
            counts[self.blank] += len(tokens) + 1
        self.token_counts = [counts[token] for token in range(len(self))]

    def spell(self, words: Sequence[str]) -> list[str]:
        """How words are written with the vocabulary's strings: as they are."""
        return list(words)

    def read(self, spelling: str) -> str:
        """The word that `spell` writes so."""
        return spelling

    def encode(self, text: str) -> list[int]:
        """Tokens of the normalised text, without blanks."""
        text = normalize_text(text)
        try:
            return [self._token_of[char] for char in text]
        except KeyError as error:
            raise UserError(
                f"character {error} of the transcript {text!r} is not in the text encoder's "
                f"alphabet {''.join(self.vocab)!r}; train with text_encoder.alphabet that has it"
            ) from None

    def decode(self, tokens: Iterable[int]) -> str:
        """The tokens' strings joined, words parted by one space; blanks vanish."""
        text = "".join(self.vocab[int(token)] for token in tokens)
        return " ".join(text.replace(self.word_boundary, " ").split())

    def ctc_decode(self, frames: Iterable[int]) -> str:
        """Text of a frame-wise labelling: merge repeats, then remove blanks."""
        return self.decode(token for token, _ in groupby(int(frame) for frame in frames))

    def save(self, folder: str | Path) -> None:
        """Writes all that `load_text_encoder` needs into `folder`."""
        self._describe(folder, {"type": "characters", "alphabet": "".join(self.vocab[1:])})

    def _describe(self, folder: str | Path, description: dict[str, Any]) -> None:
        """Writes `text_encoder.json`, with the counts if there are any."""
        if self.token_counts is not None:
            description = {**description, "token_counts": self.token_counts}
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "text_encoder.json").write_text(json.dumps(description) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> CTCTextEncoder:
        """What `save` wrote; an error of any kind where it is damaged: use `load_text_encoder`."""
        description = json.loads((Path(folder) / "text_encoder.json").read_text())
        encoder = cls._described(description, Path(folder))
        if (counts := description.get("token_counts")) is not None:
            if len(counts) != len(encoder) or not all(type(count) is int for count in counts):
                raise ValueError(f"token_counts are not {len(encoder)} whole numbers")
            encoder.token_counts = counts
        return encoder

    @classmethod
    def _described(cls, description: dict[str, Any], folder: Path) -> CTCTextEncoder:
        return cls(description["alphabet"])
