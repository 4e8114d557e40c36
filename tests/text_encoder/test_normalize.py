from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.text_encoder import ALPHABET, normalize_text

LIBRISPEECH = Path(__file__).parents[3] / "shared" / "data" / "LibriSpeech"


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("MISTER QUILTER IS", "mister quilter is"),
        ("It’s  Mr. O'Neil — 'quoted', café.", "it's mr o'neil quoted cafe"),
        ("'tis the boys' own", "'tis the boys' own"),
        ("a ' b '' c", "a b c"),
        ("well-known\nfacts\t", "well known facts"),
        ("1234", ""),
        ("Ünïcödé ß", "unicode"),
    ],
)
def test_examples(text, normalized):
    assert normalize_text(text) == normalized


@given(st.text())
def test_stays_in_the_alphabet_and_is_idempotent(text):
    once = normalize_text(text)
    assert set(once) <= set(ALPHABET)
    assert once == " ".join(once.split())
    assert normalize_text(once) == once


@pytest.mark.skipif(not LIBRISPEECH.is_dir(), reason="needs ../shared/data/LibriSpeech")
def test_librispeech_references_only_change_case():
    files = sorted(LIBRISPEECH.glob("*/*/*/*.trans.txt"))
    references = [line.split(" ", 1)[1].strip() for f in files for line in f.open()]
    assert len(references) > 5000
    assert [normalize_text(text) for text in references] == [text.lower() for text in references]
