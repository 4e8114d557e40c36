from __future__ import annotations

import gzip

import kenlm
import pytest

from src.decoding import arpa_writer
from src.decoding.arpa_writer import check_arpa_path, write_arpa
from src.decoding.kneser_ney import estimate
from src.decoding.lm_text import Corpus
from src.utils.errors import UserError

MODEL = estimate(Corpus.from_lines(["the cat sat", "the dog's cat sat", "the dog"]), order=3)


def test_gzipped_holds_the_same_and_the_same_bytes_each_time(tmp_path, monkeypatch):
    plain, first, second = (tmp_path / name for name in ("a.arpa", "a.arpa.gz", "b.arpa.gz"))
    write_arpa(MODEL, plain)
    write_arpa(MODEL, first)
    monkeypatch.setattr("time.time", lambda: 0.0)
    write_arpa(MODEL, second)
    assert gzip.decompress(first.read_bytes()) == plain.read_bytes()
    assert first.read_bytes() == second.read_bytes()


def test_blocks_join_without_a_seam(tmp_path, monkeypatch):
    write_arpa(MODEL, tmp_path / "whole.arpa")
    monkeypatch.setattr(arpa_writer, "_LINES_AT_ONCE", 2)
    write_arpa(MODEL, tmp_path / "blocks.arpa")
    assert (tmp_path / "blocks.arpa").read_bytes() == (tmp_path / "whole.arpa").read_bytes()


def test_kenlm_finds_the_figures_written(tmp_path):
    write_arpa(MODEL, tmp_path / "lm.arpa.gz")
    judge = kenlm.Model(str(tmp_path / "lm.arpa.gz"))
    bigrams, words = MODEL.orders[1], MODEL.words
    state = kenlm.State()
    for context, word, log10_prob in zip(bigrams.context, bigrams.word, bigrams.log10_prob):
        if words[context] != "<s>":
            judge.NullContextWrite(state)
            after = kenlm.State()
            judge.BaseScore(state, words[context], after)
            score = judge.BaseScore(after, words[word], kenlm.State())
            assert score == pytest.approx(log10_prob, abs=1e-5)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "lm.arpa"
    path.write_text("old")
    monkeypatch.setattr(arpa_writer, "_entries", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_arpa(MODEL, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("lm.arpa", "old")]


def test_places_that_cannot_be_written_to(tmp_path):
    with pytest.raises(UserError, match=r"must end in \.arpa or \.arpa\.gz"):
        check_arpa_path(tmp_path / "lm.bin")
    with pytest.raises(UserError, match=r"no folder .*missing"):
        check_arpa_path(tmp_path / "missing" / "lm.arpa")
    (tmp_path / "folder.arpa").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        check_arpa_path(tmp_path / "folder.arpa")
