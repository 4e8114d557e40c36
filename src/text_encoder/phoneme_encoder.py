"""Phonemes as CTC labels: the model learns how words sound, a lexicon how they are spelt.

>>> encoder = PhonemeCTCTextEncoder().fit(["two", "to be or not to be"])
>>> encoder.spell(["to", "knight"])
['tu', 'naɪt']
>>> encoder.decode(encoder.encode("be two"))       # of words that sound alike the frequent one
'be to'

English spelling takes hundreds of hours to learn from speech. With few, phonemes leave it to a
decoder with a language model and `vocabulary=closed`, which weighs words that sound alike.
Pronunciations are eSpeak NG's, one a word, said alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from src.text_encoder.ctc_text_encoder import CTCTextEncoder
from src.text_encoder.normalize import normalize_text
from src.text_encoder.phonemes import PHONEMES, simplified
from src.utils.espeak import EspeakSynthesizer

Pronunciation = tuple[str, ...]
REDUCED = {"a": ("ə",)}  # said alone it is the letter's name


class PhonemeCTCTextEncoder(CTCTextEncoder):
    """Token 0 is the CTC blank, then one token a phoneme, and the space between words last."""

    unit = "phonemes"
    files = (*CTCTextEncoder.files, "lexicon.txt")

    def __init__(self, lexicon: dict[str, Pronunciation] | None = None) -> None:
        self.vocab = ["", *PHONEMES, " "]
        self._token_of = {phoneme: token for token, phoneme in enumerate(self.vocab)}
        self._use(lexicon or {})

    def _use(self, lexicon: dict[str, Pronunciation]) -> None:
        self._lexicon = lexicon  # of the training transcripts, the most frequent first
        self._word_of = {"".join(said): word for word, said in reversed(lexicon.items())}
        self._said = REDUCED | lexicon  # and of every word that was asked for since

    def fit(self, texts: Iterable[str]) -> PhonemeCTCTextEncoder:
        """Looks up the words of the training transcripts, and which of them are frequent."""
        count = Counter(word for text in texts for word in normalize_text(text).split())
        words = sorted(count, key=lambda word: (-count[word], word))
        self._use(dict(zip(words, self._pronounce(words))))
        return self

    def _pronounce(self, words: Sequence[str]) -> list[Pronunciation]:
        """How each word is said; a new one goes through eSpeak NG."""
        new = [word for word in dict.fromkeys(words) if word not in self._said]
        if new:
            self._said.update(zip(new, map(simplified, EspeakSynthesizer().phonemes(new))))
        return [self._said[word] for word in words]

    def spell(self, words: Sequence[str]) -> list[str]:
        return ["".join(said) for said in self._pronounce(words)]

    def read(self, spelling: str) -> str:
        """The word of the training transcripts that is said so, the most frequent of several;
        otherwise the phonemes themselves."""
        return self._word_of.get(spelling, spelling)

    def encode(self, text: str) -> list[int]:
        """Tokens of the normalised text, without blanks."""
        tokens: list[int] = []
        for said in self._pronounce(normalize_text(text).split()):
            if said:
                tokens += [self._token_of[" "]] * bool(tokens)
                tokens += map(self._token_of.__getitem__, said)
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Words, of which those that are not in the training transcripts are left in phonemes."""
        return " ".join(self.read(word) for word in super().decode(tokens).split())

    def save(self, folder: str | Path) -> None:
        self._describe(folder, {"type": "phonemes"})
        lines = (f"{word} {' '.join(said)}\n" for word, said in self._lexicon.items())
        (Path(folder) / "lexicon.txt").write_text("".join(lines), encoding="utf-8")

    @classmethod
    def _described(cls, description: dict[str, Any], folder: Path) -> PhonemeCTCTextEncoder:
        lines = (folder / "lexicon.txt").read_text(encoding="utf-8").splitlines()
        lexicon = {word: tuple(said) for word, *said in map(str.split, lines)}
        if wrong := {phoneme for said in lexicon.values() for phoneme in said} - set(PHONEMES):
            raise ValueError(f"{min(wrong)!r} in lexicon.txt is no phoneme")
        return cls(lexicon)
