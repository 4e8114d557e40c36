import math
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import pad

from src.decoding.flashlight_decoder import FlashlightDecoder
from src.decoding.simulate import simulate
from src.text_encoder import CTCTextEncoder, SentencePieceCTCTextEncoder
from src.utils.errors import UserError

pytest.importorskip("flashlight.lib.text.decoder.kenlm", reason="pip install flashlight-text")
kenlm = pytest.importorskip("kenlm", reason="pip install kenlm")

FIXTURES = Path(__file__).parent / "fixtures"
ARPA = str(FIXTURES / "grammar-3gram.arpa")
WORDS = [line.split("\t")[1] for line in Path(ARPA).read_text().splitlines()[9:298]]
TEXTS = (FIXTURES / "grammar.txt").read_text().splitlines()[:12]
CHARACTERS = CTCTextEncoder()


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("sentencepiece"))
    return SentencePieceCTCTextEncoder(60, cache_dir=cache).fit(TEXTS * 10)


@pytest.fixture(params=["characters", "sentencepiece"])
def encoder(request, pieces):
    return CHARACTERS if request.param == "characters" else pieces


def decoder_of(encoder=CHARACTERS, **options):
    options = {"lm": ARPA, "beam_size": 30, **options}
    return FlashlightDecoder(text_encoder=encoder, frame_seconds=0.04, **options)


def batch_of(encoder=CHARACTERS, texts=TEXTS, **options):
    [(log_probs, length, _)] = simulate(texts, encoder, **options).batches(len(texts))
    return log_probs, length


@pytest.mark.parametrize("log_add", [False, True])
def test_says_what_torchaudios_ctc_decoder_says(tmp_path, log_add):
    """Of characters, with torchaudio's lexicon file and its names of tokens."""
    ctc_decoder = pytest.importorskip("torchaudio.models.decoder").ctc_decoder
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("".join(f"{word} {' '.join(word)} |\n" for word in WORDS))
    reference = ctc_decoder(
        lexicon=str(lexicon),
        tokens=["-", *CHARACTERS.vocab[1:-1], "|"],
        lm=ARPA,
        nbest=3,
        beam_size=30,
        lm_weight=0.6 * math.log(10),
        word_score=0.8,
        log_add=log_add,
    )
    decoder = decoder_of(alpha=0.6, beta=0.8, n_best=3, log_add=log_add)
    log_probs, length = batch_of()
    for utterance, frames, n_best in zip(log_probs, length, decoder(log_probs, length)):
        closed = pad(utterance[:frames], (0, 0, 0, 1), value=-1e4)
        closed[-1, -1] = 0.0
        [theirs] = reference(closed[None])
        assert [ours.text for ours in n_best] == [" ".join(other.words) for other in theirs]
        assert [ours.score for ours in n_best] == pytest.approx([t.score for t in theirs])


def test_alpha_weighs_natural_logarithms(encoder):
    model = kenlm.Model(ARPA)
    for n_best in decoder_of(encoder, alpha=0.3, beta=1.2, n_best=4)(*batch_of(encoder)):
        assert n_best == sorted(n_best, key=lambda hypothesis: -hypothesis.score)
        for hypothesis in n_best:
            words = hypothesis.text.split()
            assert set(words) <= set(WORDS)
            lm = 0.3 * math.log(10) * model.score(hypothesis.text)
            assert hypothesis.lm_score == pytest.approx(lm, abs=1e-3)
            assert hypothesis.word_bonus == pytest.approx(1.2 * len(words))
            parts = hypothesis.acoustic_score + hypothesis.lm_score + hypothesis.word_bonus
            assert hypothesis.score == pytest.approx(parts)


def test_the_acoustic_score_is_that_of_its_best_path(encoder):
    """Without the LM's say the best path is in the lexicon, so it must be the maximum."""
    log_probs, length = batch_of(encoder, noise=0.08)
    n_bests = decoder_of(encoder, alpha=0.0, beta=0.0)(log_probs, length)
    for utterance, frames, [hypothesis], text in zip(log_probs, length, n_bests, TEXTS):
        assert hypothesis.text == text
        best = utterance[:frames].max(dim=1).values.sum()
        assert hypothesis.acoustic_score == pytest.approx(float(best), abs=1e-3)


def test_tokens_lie_at_their_peaks(encoder):
    log_probs, length = batch_of(encoder, posteriors="flat", noise=0.05)
    n_bests = decoder_of(encoder)(log_probs, length)
    for utterance, frames, [hypothesis], text in zip(log_probs, length, n_bests, TEXTS):
        assert encoder.decode(hypothesis.tokens) == hypothesis.text == text
        assert [word.text for word in hypothesis.words] == text.split()
        best = utterance[:frames].argmax(dim=1)
        assert best[hypothesis.frames].tolist() == hypothesis.tokens
        assert hypothesis.words[-1].end <= frames * 0.04
        assert all(word.confidence > 0.3 for word in hypothesis.words)


def test_a_words_last_piece_may_last(pieces):
    """flashlight alone drops or doubles words whose last piece holds more than one frame."""
    tokens = pieces.encode(TEXTS[0])
    path = [token for token in tokens for _ in range(4)]
    log_probs = torch.full((1, len(path), len(pieces)), -9.0)
    log_probs[0, range(len(path)), path] = 0.0
    [[hypothesis]] = decoder_of(pieces)(log_probs.log_softmax(-1), torch.tensor([len(path)]))
    assert (hypothesis.text, hypothesis.tokens) == (TEXTS[0], tokens)


def test_no_frames_and_nan_have_a_defined_result(encoder):
    log_probs, length = batch_of(encoder, texts=TEXTS[:2])
    length[0] = 0
    log_probs[1] = float("nan")
    decoder = decoder_of(encoder)
    [empty], [unheard] = decoder(log_probs, length)
    end_alone = 0.5 * math.log(10) * kenlm.Model(ARPA).score("")
    assert (empty.text, empty.words) == ("", [])
    assert empty.score == pytest.approx(end_alone, abs=1e-4)
    assert math.isfinite(unheard.score)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"beam_size": 0}, "beam_size is 0; a beam search keeps at least 1 prefix"),
        ({"lm": "missing.arpa"}, "missing.arpa cannot be read .No such file"),
        ({"lm": "cut.arpa"}, "KenLM cannot read .*cut.arpa"),
        ({"lm": "binary"}, "binary is a KenLM binary .format version 5.*name the ARPA file"),
        ({"lm": "upper.arpa"}, "no word of .*upper.arpa can be spelt"),
    ],
)
def test_what_it_cannot_do_is_said_in_a_sentence(options, sentence, tmp_path):
    text = Path(ARPA).read_text()
    (tmp_path / "cut.arpa").write_text(text[: len(text) // 2])
    (tmp_path / "upper.arpa").write_text(
        text.upper().replace("NGRAM", "ngram").replace("GRAMS", "grams")
    )
    magic = b"mmap lm http://kheafield.com/code format version 5\n\0"
    (tmp_path / "binary").write_bytes(magic + bytes(80))
    if "lm" in options:
        options = {"lm": str(tmp_path / options["lm"])}
    with pytest.raises(UserError, match=sentence) as error:
        decoder_of(**options)
    assert "\n" not in str(error.value)


def test_log_probs_of_another_vocabulary_are_refused():
    with pytest.raises(UserError, match="are of 30 tokens, but the text encoder has 29"):
        decoder_of()(torch.zeros(1, 4, 30), torch.tensor([4]))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flashlight.lib.text", None)
    with pytest.raises(UserError, match="pip install flashlight-text, or use"):
        decoder_of()


def test_nothing_is_written_to_the_terminal(capfd, pieces):
    decoder_of(SentencePieceCTCTextEncoder(model=pieces._model))
    assert capfd.readouterr() == ("", "")
