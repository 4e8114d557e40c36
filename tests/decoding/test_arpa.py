import gzip
import math

import numpy as np
import pytest

import src.decoding.arpa
from src.decoding.arpa import read_arpa
from src.utils.errors import UserError

# As SRILM writes it: a preamble, no back-off where nothing follows, tabs and spaces.
TEXT = """\
made by hand

\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.25
-0.5\t</s>
-0.75\tyes\t-0.125
-1e0\té

\\2-grams:
-0.25\t<s> yes\t-0.5
-0.375 yes é 0
-0.625\tyes </s>

\\3-grams:
-0.0625\t<s> yes é

\\end\\
"""


def read(tmp_path, content):
    path = tmp_path / "lm.arpa"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_arpa(path)


def assert_is_the_model(arpa):
    assert arpa.words == ["<unk>", "<s>", "</s>", "yes", "é"]
    words, log10_prob, log10_backoff = zip(*arpa.sections)
    assert [array.tolist() for array in words] == [
        [[0], [1], [2], [3], [4]],
        [[1, 3], [3, 4], [3, 2]],
        [[1, 3, 4]],
    ]
    assert [array.tolist() for array in log10_prob] == [
        [-1.5, -99, -0.5, -0.75, -1],
        [-0.25, -0.375, -0.625],
        [-0.0625],
    ]
    assert [array.tolist() for array in log10_backoff] == [
        [0, -0.25, 0, -0.125, 0],
        [-0.5, 0, 0],
        [0],
    ]
    assert {array.dtype for array in words} == {np.dtype(np.int32)}


@pytest.mark.parametrize("block", [1, 2, 100_000])
def test_all_of_it_is_read(tmp_path, monkeypatch, block):
    monkeypatch.setattr(src.decoding.arpa, "BLOCK", block)
    assert_is_the_model(read(tmp_path, TEXT))
    assert_is_the_model(read(tmp_path, TEXT.replace("\n", "\r\n")))
    assert_is_the_model(read(tmp_path, gzip.compress(TEXT.encode())))  # whatever its name says


@pytest.mark.parametrize("block", [2, 100_000])
def test_cut_anywhere_it_is_refused(tmp_path, monkeypatch, block):
    monkeypatch.setattr(src.decoding.arpa, "BLOCK", block)
    whole = TEXT.encode()
    for size in range(len(whole) - len("\\end\\\n") + 1):
        with pytest.raises(UserError) as caught:
            read(tmp_path, whole[:size])
        header = size <= whole.index(b"\\1-grams:") + len("\\1-grams:")
        assert ("-grams" in str(caught.value)) or header


def test_a_cut_archive_is_refused(tmp_path):
    lines = [f"-{n / 7:.4f}\tw{n}" for n in range(3, 5000)]
    text = TEXT.replace("ngram 1=5", f"ngram 1={5 + len(lines)}")
    packed = gzip.compress(text.replace("-1e0\té", "\n".join(["-1e0\té", *lines])).encode())
    assert len(read(tmp_path, packed).words) == 5 + len(lines)
    for size in (3, 100, len(packed) // 2, len(packed) - 1):
        with pytest.raises(UserError, match=r"lm\.arpa is cut short or damaged"):
            read(tmp_path, packed[:size])
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 255
    with pytest.raises(UserError, match=r"lm\.arpa is (cut short or damaged|malformed)"):
        read(tmp_path, bytes(damaged))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", r"no \\data\\ line"),
        ("ngram 2=3\n", "", "header: line 5 counts out of order"),
        ("ngram 2=3", "ngram two=3", "header: line 5 is neither a count"),
        ("ngram 1=5", "ngram 1=6", r"1-grams: it ends at line 14, before all its n-grams"),
        ("ngram 1=5", "ngram 1=4", r"1-grams: line 13 should be \\2-grams: after the 4 n-grams"),
        ("ngram 3=1", "ngram 3=0", r"3-grams: line 21 should be \\end\\ after the 0 n-grams"),
        ("\\2-grams:", "\\3-grams:", r"line 15 should be \\2-grams:"),
        ("-0.75\tyes", "-0.7.5\tyes", "line 12 has a number that is no log10"),
        ("-0.75\tyes", "0.75\tyes", "line 12 has a number that is no log10"),
        ("-0.75\tyes", "nan\tyes", "line 12 has a number that is no log10"),
        ("yes\t-0.125", "yes\tx", "line 12 has a number that is no log10"),
        ("yes\t-0.125", "yes\tinf", "line 12 has a number that is no log10"),
        ("yes\t-0.125", "yes\t-1\t-2", "line 12 is not a log10 probability, 1 word and perhaps"),
        ("-0.625\tyes </s>", "-0.625\tyes", "line 18 is not a log10 probability, 2 words and"),
        ("<s> yes é", "<s> yes é -0.1", "line 21 is not a log10 probability, 3 words:"),
        ("yes é 0", "yes no 0", "line 17 has the word 'no', which no unigram has"),
        ("é\n\n\\2", "yes\n\n\\2", "1-grams: line 13 repeats the word 'yes'"),
        ("-0.25\t<s>", "\n-0.25\t<s>", "2-grams: it ends at line 16"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    assert TEXT.count(old) == 1
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, TEXT.replace(old, new))
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="not an ARPA file"):
        read(tmp_path, b"\x00\xff text\n" * 5000)
    with pytest.raises(UserError, match="UTF-8"):
        read(tmp_path, TEXT.encode("latin-1"))
    with pytest.raises(UserError, match="No such file"):
        read_arpa(tmp_path / "absent.arpa")
    with pytest.raises(UserError, match="directory"):
        read_arpa(tmp_path)


def test_numbers_keep_the_precision_of_float32(tmp_path):
    text = TEXT.replace("-0.375", "-3.1415927").replace("-0.5\n", "-2.7182817\n")
    bigrams = read(tmp_path, text).sections[1]
    assert math.isclose(bigrams.log10_prob[1], -3.1415927, rel_tol=1e-7)
    assert math.isclose(bigrams.log10_backoff[0], -2.7182817, rel_tol=1e-7)
