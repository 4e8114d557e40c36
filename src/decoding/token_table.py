"""How each token of a text encoder spells: what the beam search knows of text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError


class TokenTable(NamedTuple):
    """Flat arrays over V tokens.

    Attributes:
        boundary: bool [V], the token ends the word before it (a space, a piece with `▁`).
        chars: int32 [C], the letters of all tokens, one token after another, as places in the
            alphabet.
        first_char: int32 [V + 1], token v spells `chars[first_char[v] : first_char[v + 1]]`.
        sound: int32 [V], the token that is heard: itself, but for those that `with_homophones`
            adds.
        choice: int32 [V], which of the words that are spelt alike a boundary token ends.
    """

    boundary: np.ndarray
    chars: np.ndarray
    first_char: np.ndarray
    sound: np.ndarray
    choice: np.ndarray


def token_table(text_encoder: CTCTextEncoder) -> tuple[TokenTable, str]:
    """The encoder's table and the alphabet that it is written in."""
    mark = text_encoder.word_boundary
    spellings = [token.removeprefix(mark) for token in text_encoder.vocab]
    if inside := [token for token in spellings if mark in token]:
        raise UserError(
            f"token {inside[0]!r} has a word boundary inside, which the beam search cannot score; "
            "train the subwords with split_by_whitespace"
        )
    alphabet = "".join(sorted(set("".join(spellings))))
    place = {char: index for index, char in enumerate(alphabet)}
    boundary = [token.startswith(mark) for token in text_encoder.vocab]
    chars = [place[char] for token in spellings for char in token]
    first_char = np.cumsum([0, *map(len, spellings)])
    table = TokenTable(
        np.array(boundary),
        np.array(chars, dtype=np.int32),
        first_char.astype(np.int32),
        np.arange(len(spellings), dtype=np.int32),
        np.zeros(len(spellings), np.int32),
    )
    return table, alphabet


def with_homophones(table: TokenTable, words_alike: int) -> TokenTable:
    """The table with tokens V, V + 1, ... that are heard like the space, and end the second, the
    third, ... of up to `words_alike` words that are spelt alike.

    Raises:
        UserError: no token is a word boundary and nothing else.
    """
    if words_alike < 2:
        return table
    spaces = np.flatnonzero(table.boundary & (np.diff(table.first_char) == 0))
    if len(spaces) != 1:
        raise UserError(
            "words that are spelt alike can be told apart by a text encoder with one token for the "
            f"space; this one has {len(spaces)}"
        )
    more = words_alike - 1
    return TokenTable(
        np.append(table.boundary, np.ones(more, bool)),
        table.chars,
        np.append(table.first_char, np.repeat(table.first_char[-1:], more)),
        np.append(table.sound, np.repeat(spaces, more)).astype(np.int32),
        np.append(table.choice, np.arange(1, words_alike)).astype(np.int32),
    )
