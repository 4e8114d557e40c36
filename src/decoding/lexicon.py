"""The words of a hypothesis, where a text encoder spells them otherwise than they are written.

words = ["to", "two", "be"]
lexicon = Lexicon(words, phoneme_encoder.spell(words), np.int32([1, -1, -1]), phoneme_encoder)
lexicon.text(phoneme_encoder.encode("be to"), [0, 1])     # 'be two': the second of /tu/
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from src.decoding.word_trie import NO_WORDS
from src.text_encoder import CTCTextEncoder


class Lexicon:
    """Args:
        words, spellings: word of each id, and how the text encoder spells it.
        next_alike: int32 [words], the next word that is spelt like this one, -1 after the last.
        text_encoder: reads what is no word of these.

    Attributes: `differs`, whether any word is spelt otherwise than it is written; `most_alike`, how
    many words are spelt alike at most.
    """

    def __init__(
        self,
        words: Sequence[str],
        spellings: Sequence[str],
        next_alike: np.ndarray,
        text_encoder: CTCTextEncoder,
    ) -> None:
        self.text_encoder = text_encoder
        self.differs = spellings != words
        self._words: dict[str, list[str]] = {}
        if self.differs:
            following = next_alike.tolist()
            later = set(following)
            for first, (word, spelling) in enumerate(zip(words, spellings)):
                if first not in later and word not in NO_WORDS:
                    chain, at = [word], following[first]
                    while at >= 0:
                        chain.append(words[at])
                        at = following[at]
                    self._words[spelling] = chain
        self.most_alike = max(map(len, self._words.values()), default=1)

    def text(self, tokens: Sequence[int], choices: Sequence[int]) -> str:
        """The words of `tokens`; the choices are of each space and of the end, in order: which of
        the words that are spelt alike comes before."""
        words, spelling, choice = [], "", iter(choices)
        for token in [*tokens, None]:
            piece = " " if token is None else self.text_encoder.vocab[token]
            if piece != " ":
                spelling += piece
                continue
            which = next(choice)
            if spelling:
                known = self._words.get(spelling)
                words.append(known[which] if known else self.text_encoder.read(spelling))
            spelling = ""
        return " ".join(words)
