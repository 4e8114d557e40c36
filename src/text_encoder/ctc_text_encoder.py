"""Characters as CTC labels, and what every text encoder offers.

>>> encoder = CTCTextEncoder()
>>> encoder.decode(encoder.encode("it's on"))
"it's on"
>>> encoder.ctc_decode([0, 9, 9, 0, 9, 20])     # repeats merge, blanks part them
'iit'
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from src.text_encoder.normalize import ALPHABET, normalize_text
from src.utils.errors import UserError


class CTCTextEncoder:
    """Token 0 is the CTC blank, then one token a character of `a-z'` and space.

    Attributes: `vocab`, the string of each token, `""` for the blank; `word_boundary`, the
    character that parts words inside the vocabulary's strings; `unit`, what tokens are called;
    `files`, the names of what `save` writes.
    """

    unit = "characters"
    files: tuple[str, ...] = ("text_encoder.json",)
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
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        description = {"type": "characters", "alphabet": "".join(self.vocab[1:])}
        (folder / "text_encoder.json").write_text(json.dumps(description, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> CTCTextEncoder:
        description = json.loads((Path(folder) / "text_encoder.json").read_text())
        return cls(description["alphabet"])
