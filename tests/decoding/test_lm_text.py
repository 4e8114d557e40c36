from __future__ import annotations

import gzip
import io
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.decoding.lm_text import Corpus, read_corpus
from src.text_encoder.normalize import normalize_text
from src.utils.errors import UserError

TEXT = "It’s “quoted”, café.\n\n  plain  words \r\n1914\nno newline at the end"
SENTENCES = ["it's quoted cafe", "plain words", "no newline at the end"]


def sentences_of(corpus: Corpus) -> list[str]:
    row = " ".join(corpus.words[token] for token in corpus.tokens)
    return [sentence.removesuffix(" </s> ") for sentence in f"{row} ".split("<s> ")[1:]]


def test_every_kind_of_file_is_read_and_normalised(tmp_path, monkeypatch):
    plain, gz, xz = (tmp_path / f"text.{suffix}" for suffix in ("txt", "gz", "xz"))
    plain.write_bytes(TEXT.encode())
    gz.write_bytes(gzip.compress(TEXT.encode()))
    xz.write_bytes(lzma.compress(TEXT.encode()))
    monkeypatch.setattr("sys.stdin", io.StringIO(TEXT))
    corpus = read_corpus([plain, gz, xz, Path("-")])
    assert sentences_of(corpus) == SENTENCES * 4
    assert (corpus.sentences, corpus.words_in_text) == (12, 40)


@given(st.lists(st.text("aé'’ -B\n.")))
def test_each_line_reads_as_normalize_text_says(lines):
    expected = [text for line in lines if (text := normalize_text(line))]
    assert sentences_of(Corpus.from_lines(lines)) == expected


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("missing.txt", None, "cannot read the text .*missing.txt: No such file"),
        ("latin.txt", "café".encode("latin-1"), "latin.txt is not UTF-8"),
        ("cut.gz", gzip.compress(b"word " * 999)[:-9], "cut.gz is damaged or cut short"),
        ("text.gz", b"plain text", "text.gz is damaged"),
        ("cut.xz", lzma.compress(b"word " * 999)[:-30], "cut.xz is damaged or cut short"),
        ("text.xz", b"plain text", "text.xz is damaged"),
        ("empty.txt", b" \n1914\n", "no words in .*empty.txt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # gzip's bytes hold the time
)
def test_unusable_files(name, content, words, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_corpus([tmp_path / name])
