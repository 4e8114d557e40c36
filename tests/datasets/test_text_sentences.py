import lzma
import random
from collections import Counter

import pytest

from src.datasets import SyntheticSpeechDataset
from src.datasets.text_sentences import MAX_WORDS, MIN_WORDS, TextSentences
from src.utils.errors import UserError


@pytest.fixture
def text(tmp_path):
    """300 lines of 1 to 30 words, each word of its own line."""
    lines = [
        " ".join(f"{_letters(line)}{'x' * word}" for word in range(line % 30 + 1))
        for line in range(300)
    ]
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def _letters(number):
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:03d}")


def test_sentences_are_runs_of_words_of_one_line(text):
    lines = text.read_text().splitlines()
    sentences = TextSentences(str(text))
    assert len(sentences) == sum(len(line.split()) >= MIN_WORDS for line in lines)
    rng = random.Random(0)
    lengths = Counter()
    for _ in range(500):
        sentence = sentences.sentence(rng, "train")
        assert any(f" {sentence} " in f" {line} " for line in lines)
        lengths[len(sentence.split())] += 1
    assert min(lengths) >= MIN_WORDS and max(lengths) <= MAX_WORDS
    assert len(lengths) > 15


def test_a_line_is_of_one_split_for_ever(text):
    sentences = TextSentences(str(text))
    lines = {
        split: {
            sentences.sentence(random.Random(seed), split).split()[0].rstrip("x")
            for seed in range(400)
        }
        for split in ("train", "val", "test")
    }
    assert all(len(names) > 10 for names in lines.values())
    assert not lines["train"] & lines["val"]
    assert not lines["train"] & lines["test"]
    assert not lines["val"] & lines["test"]


def test_it_is_normalised_and_may_be_compressed(tmp_path):
    path = tmp_path / "text.xz"
    path.write_bytes(lzma.compress(b"It\xe2\x80\x99s  Mr. O'Neil\n\nno\n"))
    sentences = TextSentences(str(path))
    assert len(sentences) == 1
    split = next(s for s in ("train", "val", "test") if _has(sentences, s))
    assert sentences.sentence(random.Random(0), split) == "it's mr o'neil"


def _has(sentences, split):
    try:
        return sentences.sentence(random.Random(0), split)
    except UserError:
        return False


def test_it_is_spoken_and_every_epoch_anew(text):
    dataset = SyntheticSpeechDataset("train", 12, text=str(text))
    words = {word for line in text.read_text().splitlines() for word in line.split()}
    assert set(" ".join(dataset.texts).split()) <= words
    item = dataset[3]
    assert item["audio"].abs().max() > 0.1 and item["duration"] > 0.3
    before = dataset.texts
    dataset.set_epoch(1)
    assert dataset.texts != before


@pytest.mark.parametrize(
    ("content", "message"),
    [("one\ntwo words\n", "no line of 3 words or more"), (None, "No such file")],
)
def test_mistakes_are_one_sentence(tmp_path, content, message):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        SyntheticSpeechDataset("train", 3, text=str(path))
