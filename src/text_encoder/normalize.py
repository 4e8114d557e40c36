"""One normalisation for training text, references and language-model text.

>>> normalize_text("It’s  Mr. O'Neil — 'quoted', café.")
"it's mr o'neil quoted cafe"
"""

from __future__ import annotations

import re
import unicodedata

ALPHABET = "abcdefghijklmnopqrstuvwxyz' "

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "ʼ": "'"})
_PLAIN = re.compile(r"[a-z]+(?: [a-z]+)*")  # most lines of a text that was normalised before
_OUTSIDE = re.compile(r"[^a-z' ]+")
_WRAPPED_WORD = re.compile(r"(?<![a-z'])'([a-z']+)'(?![a-z'])")
_LONE_APOSTROPHES = re.compile(r"(?<![a-z])'+(?![a-z])")


def normalize_text(text: str) -> str:
    """Lower case, `a-z'` and single spaces; accents are folded, everything else parts words.

    Apostrophes that touch a letter stay (`don't`, `'tis`, `peasants'`), as in LibriSpeech's
    references, which only change case here; a pair around one word is a quotation and goes.
    Digits are not spelt out: LibriSpeech has none.
    """
    if _PLAIN.fullmatch(text):
        return text
    text = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES).lower())
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = _OUTSIDE.sub(" ", text)
    text = _WRAPPED_WORD.sub(r"\1", text)
    return " ".join(_LONE_APOSTROPHES.sub(" ", text).split())
