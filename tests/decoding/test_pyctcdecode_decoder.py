import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from src.decoding import ArgmaxDecoder
from src.decoding.pyctcdecode_decoder import PyctcdecodeDecoder
from src.decoding.simulate import simulate
from src.text_encoder import CTCTextEncoder, SentencePieceCTCTextEncoder
from src.utils.errors import UserError

pyctcdecode = pytest.importorskip("pyctcdecode", reason="pip install pyctcdecode")
kenlm = pytest.importorskip("kenlm", reason="pip install kenlm")

FIXTURES = Path(__file__).parent / "fixtures"
ARPA = FIXTURES / "grammar-3gram.arpa"
TEXTS = (FIXTURES / "grammar.txt").read_text().splitlines()[:8]
UNKNOWN = "the farmer adjudicated zebras"  # two words that the LM does not have
CHARACTERS = CTCTextEncoder()


@pytest.fixture(scope="module", params=["characters", "sentencepiece"])
def encoder(request, tmp_path_factory):
    if request.param == "characters":
        return CHARACTERS
    cache = str(tmp_path_factory.mktemp("sentencepiece"))
    return SentencePieceCTCTextEncoder(60, cache_dir=cache).fit([*TEXTS, UNKNOWN] * 10)


def decoder_of(encoder=CHARACTERS, **options):
    options = {"num_processes": 0, "beam_size": 20, **options}
    return PyctcdecodeDecoder(text_encoder=encoder, frame_seconds=0.04, **options)


def batch_of(encoder=CHARACTERS, texts=TEXTS, **options):
    [(log_probs, length, _)] = simulate(texts, encoder, **options).batches(len(texts))
    return log_probs, length


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize("lm", [None, str(ARPA)])
def test_says_what_pyctcdecode_called_by_hand_says(encoder, lm, processes):
    words = [line.split("\t")[1] for line in ARPA.read_text().splitlines()[6:298]]
    reference = pyctcdecode.build_ctcdecoder(
        list(encoder.vocab), lm, unigrams=words if lm else None, alpha=0.7, beta=0.9
    )
    weights = {"lm": lm, "alpha": 0.7, "beta": 0.9} if lm else {}
    decoder = decoder_of(encoder, num_processes=processes, n_best=3, **weights)
    log_probs, length = batch_of(encoder)
    for utterance, frames, n_best in zip(log_probs, length, decoder(log_probs, length)):
        beams = reference.decode_beams(utterance[:frames].numpy(), beam_width=20)
        assert [hypothesis.text for hypothesis in n_best] == [beam[0] for beam in beams[:3]]
        for hypothesis, (_, _, spans, acoustic, score) in zip(n_best, beams):
            assert hypothesis.score == pytest.approx(score, abs=1e-4)
            assert hypothesis.acoustic_score == pytest.approx(acoustic, abs=1e-4)
            assert [(w.text, w.start, w.end) for w in hypothesis.words] == [
                (word, pytest.approx(start * 0.04), pytest.approx(end * 0.04))
                for word, (start, end) in spans
            ]


def test_score_parts_are_kenlms_and_the_bonus():
    model = kenlm.Model(str(ARPA))
    decoder = decoder_of(lm=str(ARPA), alpha=0.4, beta=1.1, unknown_word_score=-5.0)
    n_bests = decoder(*batch_of(texts=[*TEXTS, UNKNOWN], noise=0.1))
    assert n_bests[-1][0].text == UNKNOWN
    for [hypothesis] in n_bests:
        words = hypothesis.text.split()
        unknown = sum(word not in model for word in words)
        lm = 0.4 * (model.score(hypothesis.text) * math.log(10) - 5.0 * unknown)
        assert hypothesis.lm_score == pytest.approx(lm, abs=1e-4)
        assert hypothesis.word_bonus == pytest.approx(1.1 * len(words))
        parts = hypothesis.acoustic_score + hypothesis.lm_score + hypothesis.word_bonus
        assert hypothesis.score == pytest.approx(parts)


def test_the_lm_mends_what_was_heard():
    log_probs, length = batch_of(texts=TEXTS, noise=0.2)

    def correct(decoder):
        return sum(n[0].text == text for n, text in zip(decoder(log_probs, length), TEXTS))

    assert correct(decoder_of(lm=str(ARPA))) > correct(decoder_of()) + 2


def test_words_lie_where_the_best_path_has_them(encoder):
    log_probs, length = batch_of(encoder, noise=0.05)
    best_path = ArgmaxDecoder(encoder, 0.04)(log_probs, length)
    for [ours], [theirs] in zip(decoder_of(encoder)(log_probs, length), best_path):
        for a, b in zip(ours.words, theirs.words, strict=True):
            assert (a.text, a.start) == (b.text, pytest.approx(b.start))
            assert a.end == pytest.approx(b.end)
            assert 0.9 < a.confidence <= 1


def test_a_hotword_is_heard_and_adds_its_weight():
    log_probs = torch.full((1, 9, len(CHARACTERS)), -12.0)
    for frame, (heard, less) in enumerate(zip("k a t o".replace(" ", "_") + "__", "c_a_t_o__")):
        for letter, value in ((heard, -0.5), (less, -1.0)):
            log_probs[0, frame, 0 if letter == "_" else CHARACTERS.vocab.index(letter)] = value
    log_probs, length = log_probs.log_softmax(-1), torch.tensor([9])
    [[plain]], [[hot]] = (
        decoder_of(hotwords=hotwords)(log_probs, length) for hotwords in (None, {"cato": 4.0})
    )
    assert (plain.text, hot.text) == ("kato", "cato")
    assert hot.score == pytest.approx(hot.acoustic_score + 4.0)
    assert hot.lm_score == pytest.approx(4.0)


def test_the_pool_is_made_once_and_ends_with_the_decoder():
    decoder = decoder_of(num_processes=2)
    assert decoder._pool is None
    decoder(*batch_of(texts=TEXTS[:2]))
    pool = decoder._pool
    pids = [process.pid for process in pool._pool]
    decoder(*batch_of(texts=TEXTS[:2]))
    assert decoder._pool is pool and [process.pid for process in pool._pool] == pids
    for process in (processes := list(pool._pool)):
        os.kill(process.pid, 0)  # is there
    del decoder, pool
    for process in processes:
        process.join(10)
        assert process.exitcode is not None


def test_odd_input_has_a_defined_result():
    log_probs, length = batch_of(texts=TEXTS[:3])
    length[1] = 0
    log_probs[2] = float("nan")
    log_probs[0, -1] = -math.inf
    first, empty, unheard = decoder_of()(log_probs, length)
    assert (empty[0].text, empty[0].score, empty[0].words) == ("", 0.0, [])
    assert np.isfinite([first[0].score, unheard[0].score]).all()
    [[silence]] = decoder_of()(torch.zeros(1, 5, 29).log_softmax(-1) * 9, torch.tensor([5]))
    assert len(silence.text) <= 3


def broken_arpas(folder):
    text = ARPA.read_text()
    (folder / "cut_words.arpa").write_text(text[:4000])
    (folder / "cut_later.arpa").write_text(text[: len(text) // 2])
    (folder / "nothing.arpa").write_text("")
    (folder / "other.arpa").write_bytes(bytes(range(256)))
    binary = b"mmap lm http://kheafield.com/code format version 4\n\0"
    (folder / "old.bin").write_bytes(binary + bytes(100))
    return folder


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"beam_size": 0}, "beam_size is 0; a beam search keeps at least 1 prefix"),
        ({"alpha": 0.5}, "alpha and beta weigh a language model, and pyctcdecode has none"),
        ({"hotwords": {"a": 1.0, "b": 2.0}}, r"one weight for all hotwords, and here are \[1.0, 2"),
        ({"lm": "missing.arpa"}, "missing.arpa cannot be read .No such file"),
        ({"lm": "cut_words.arpa"}, "cut_words.arpa is no whole ARPA file .* of 292 declared"),
        ({"lm": "cut_later.arpa"}, "KenLM cannot read .*cut_later.arpa"),
        ({"lm": "nothing.arpa"}, "nothing.arpa is no whole ARPA file"),
        ({"lm": "other.arpa"}, "other.arpa is no whole ARPA file"),
        ({"lm": "old.bin"}, "old.bin is a KenLM binary .format version 4.*name the ARPA file"),
    ],
)
def test_what_it_cannot_do_is_said_in_a_sentence(options, sentence, tmp_path):
    folder = broken_arpas(tmp_path)
    if "lm" in options:
        options = {"lm": str(folder / options["lm"])}
    with pytest.raises(UserError, match=sentence) as error:
        decoder_of(**options)
    assert "\n" not in str(error.value)


def test_log_probs_of_another_vocabulary_are_refused():
    with pytest.raises(UserError, match="are of 30 tokens, but the text encoder has 29"):
        decoder_of()(torch.zeros(1, 4, 30), torch.tensor([4]))


@pytest.mark.parametrize("package", ["pyctcdecode", "kenlm"])
def test_a_missing_package_is_named(package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    lm = shutil.copy(ARPA, tmp_path)  # not the one in the cache
    with pytest.raises(UserError, match=f"pip install {package}=="):
        decoder_of(lm=lm)
