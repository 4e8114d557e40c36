import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.decoding import ArgmaxDecoder
from src.decoding.flashlight_decoder import FlashlightDecoder
from src.decoding.pyctcdecode_decoder import PyctcdecodeDecoder
from src.text_encoder import FILES, PhonemeCTCTextEncoder, load_text_encoder
from src.text_encoder.phonemes import PHONEMES, simplified
from src.utils.errors import UserError


@pytest.fixture(scope="module")
def encoder():
    return PhonemeCTCTextEncoder().fit(["to be or not to be", "two knights", "a water colour"])


def test_words_are_written_as_they_sound(encoder):
    words = ["water", "knight", "night", "to", "two", "colonel", "a", "church"]
    said = ["wɔtɚ", "naɪt", "naɪt", "tu", "tu", "kɚnəl", "ə", "tʃɚtʃ"]
    assert encoder.spell(words) == said


def test_what_sounds_alike_is_read_as_the_frequent_word(encoder):
    assert encoder.decode(encoder.encode("Two be, or KNOT two be")) == "to be or not to be"


def test_words_that_training_did_not_have_stay_in_phonemes(encoder):
    assert encoder.decode(encoder.encode("two pheasants")) == "to fɛzənts"


def test_one_token_a_phoneme_and_one_a_space(encoder):
    tokens = encoder.encode("water church")
    assert [encoder.vocab[t] for t in tokens] == [*"wɔtɚ", " ", "tʃ", "ɚ", "tʃ"]
    assert len(encoder) == len(PHONEMES) + 2 == 42
    assert encoder.vocab[encoder.blank] == ""


@settings(max_examples=200, deadline=None)
@given(st.text("abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=12))
def test_anything_that_is_spelt_has_tokens_or_none_but_never_fails(encoder, word):
    tokens = encoder.encode(f"to {word} be")
    assert all(0 < token < len(encoder) for token in tokens)
    assert encoder.vocab.index(" ") not in (tokens[0], tokens[-1])
    assert "  " not in "".join(encoder.vocab[token] for token in tokens)


def test_every_sound_of_espeak_has_a_phoneme():
    assert simplified("f_ɹ_ˈaɪ_ʔ_n̩_d") == ("f", "ɹ", "aɪ", "t", "ə", "n", "d")
    assert simplified("l_ˈɪ_ɾ_əl") == ("l", "ɪ", "t", "ə", "l")
    assert simplified("ˈɔːɹ") == ("ɔ", "ɹ")


def test_kept_in_a_folder_and_for_other_processes(encoder, tmp_path):
    encoder.save(tmp_path)
    text = "two be or knot two bee pheasants"
    for other in (load_text_encoder(tmp_path), pickle.loads(pickle.dumps(encoder))):
        assert other.vocab == encoder.vocab
        assert other.encode(text) == encoder.encode(text)
        assert other.decode(other.encode(text)) == encoder.decode(encoder.encode(text))


def test_what_is_kept_is_what_the_hub_carries(encoder, tmp_path):
    encoder.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} < set(FILES)


@pytest.mark.parametrize("lexicon", ["two t x\n", "\n", "two t \udcff\n"])
def test_a_damaged_lexicon_is_refused(encoder, tmp_path, lexicon):
    encoder.save(tmp_path)
    (tmp_path / "lexicon.txt").write_text(lexicon, errors="surrogateescape")
    with pytest.raises(UserError, match="no readable text encoder"):
        load_text_encoder(tmp_path)


def test_best_path_words_are_those_of_the_text(encoder):
    tokens = encoder.encode("two knights")
    log_probs = torch.full((1, 2 * len(tokens), len(encoder)), -9.0)
    log_probs[0, 1::2, 0] = -0.1
    for place, token in enumerate(tokens):
        log_probs[0, 2 * place, token] = -0.1
    ((best,),) = ArgmaxDecoder(encoder)(log_probs, torch.tensor([2 * len(tokens)]))
    assert best.text == "to knights"
    assert [word.text for word in best.words] == ["to", "knights"]


@pytest.mark.parametrize("decoder", [PyctcdecodeDecoder, FlashlightDecoder])
def test_decoders_that_know_words_by_their_letters_say_so(encoder, decoder):
    with pytest.raises(UserError, match="spells with phonemes; use beam_search_closed"):
        decoder(text_encoder=encoder, frame_seconds=0.04, lm="none.arpa")
