import itertools
import json

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from src.text_encoder import (
    ALPHABET,
    CTCTextEncoder,
    SentencePieceCTCTextEncoder,
    load_text_encoder,
)
from src.utils.errors import UserError

TEXTS = [
    " ".join(words)
    for words in itertools.product(
        ["the", "a", "every", "don't"],
        ["farmer", "teacher", "river", "window", "summer"],
        ["opened", "followed", "remembered", "whispered"],
        ["quickly", "slowly", "again"],
    )
] + ["jumping foxes vex bad quick waltz"]


@pytest.fixture(params=["characters", "unigram", "bpe"])
def encoder(request, tmp_path):
    if request.param == "characters":
        return CTCTextEncoder().fit(TEXTS)
    return SentencePieceCTCTextEncoder(45, request.param, cache_dir=str(tmp_path)).fit(TEXTS)


def test_every_text_survives_the_round_trip(encoder):
    for text in [*TEXTS, "zebra's quiz", "'tis", "x"]:
        tokens = encoder.encode(text)
        assert encoder.decode(tokens) == text
        assert all(0 < token < len(encoder) for token in tokens), "0 is the blank"


@given(text=st.text(alphabet=ALPHABET, max_size=30), repeats=st.integers(1, 4))
@settings(max_examples=50)
def test_ctc_decode_undoes_any_path_of_the_text(text, repeats):
    encoder = CTCTextEncoder()
    tokens = encoder.encode(text)
    path = [0]
    for token in tokens:
        path += [token] * repeats + [0]
    assert encoder.ctc_decode(path) == " ".join(text.split()) or "'" in text
    assert encoder.ctc_decode(path) == encoder.decode(tokens)


def test_saved_and_loaded_is_the_same(encoder, tmp_path):
    encoder.save(tmp_path / "run")
    loaded = load_text_encoder(tmp_path / "run")
    assert type(loaded) is type(encoder)
    assert loaded.vocab == encoder.vocab
    assert [loaded.encode(text) for text in TEXTS] == [encoder.encode(text) for text in TEXTS]
    assert loaded.token_counts is None
    encoder.count(TEXTS)
    encoder.save(tmp_path / "run")
    assert load_text_encoder(tmp_path / "run").token_counts == encoder.token_counts


def test_tokens_are_counted_with_blanks_between(encoder):
    encoder.count(TEXTS[:3])
    paths = []
    for tokens in map(encoder.encode, TEXTS[:3]):
        paths += [0, *(label for token in tokens for label in (token, 0))]
    assert encoder.token_counts == [paths.count(token) for token in range(len(encoder))]


@pytest.mark.parametrize("counts", [[1, 2], "many", [0.5] * 29, 3])
def test_counts_of_other_tokens_are_no_readable_encoder(tmp_path, counts):
    description = {"type": "characters", "alphabet": ALPHABET, "token_counts": counts}
    (tmp_path / "text_encoder.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match="holds no readable text encoder"):
        load_text_encoder(tmp_path)


def test_sentencepiece_is_trained_once_per_content(tmp_path, monkeypatch):
    def fit(texts):
        return SentencePieceCTCTextEncoder(45, cache_dir=str(tmp_path)).fit(texts)

    first = fit(TEXTS)
    fit([*TEXTS[:-1], "jumping foxes vex bad quick wizards"])
    assert len(list(tmp_path.glob("*.model"))) == 2, "other transcripts, another model"

    def fail(**kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", fail)
    assert fit(TEXTS).vocab == first.vocab


def test_an_impossible_vocabulary_is_one_sentence(tmp_path):
    encoder = SentencePieceCTCTextEncoder(100_000, cache_dir=str(tmp_path))
    with pytest.raises(UserError, match=r"100000 unigram tokens.*vocab_size"):
        encoder.fit(TEXTS)


def test_a_folder_without_an_encoder_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="holds no readable text encoder"):
        load_text_encoder(tmp_path)


def test_a_character_outside_the_alphabet_is_named():
    with pytest.raises(UserError, match="'b'"):
        CTCTextEncoder("a ").encode("ab")
