"""Which word of a hypothesis stands for which word of its reference.

    >>> align_words("the cat sat", "the hat sat down")
    [('=', 'the', 'the'), ('S', 'cat', 'hat'), ('=', 'sat', 'sat'), ('I', '', 'down')]

The alignment is the one that `word_errors` counts (jiwer's).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jiwer

Edit = Literal["=", "S", "D", "I"]
_EDITS: dict[str, Edit] = {"equal": "=", "substitute": "S", "delete": "D", "insert": "I"}


class AlignedWord(NamedTuple):
    """`reference` is empty for an insertion, `hypothesis` for a deletion."""

    edit: Edit
    reference: str
    hypothesis: str


def align_words(reference: str, hypothesis: str) -> list[AlignedWord]:
    """In the order of the words; either text may be empty."""
    output = jiwer.process_words(reference, hypothesis)
    said, heard = output.references[0], output.hypotheses[0]
    aligned = []
    for chunk in output.alignments[0]:
        left = said[chunk.ref_start_idx : chunk.ref_end_idx]
        right = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        edit = _EDITS[chunk.type]
        for index in range(max(len(left), len(right))):
            aligned.append(
                AlignedWord(
                    edit, "" if edit == "I" else left[index], "" if edit == "D" else right[index]
                )
            )
    return aligned
