from pathlib import Path

import pytest
import torch

from src.decoding import ArgmaxDecoder
from src.decoding.simulate import simulate
from src.metrics import ErrorCounts, character_errors, word_errors
from src.text_encoder import CTCTextEncoder, SentencePieceCTCTextEncoder, normalize_text
from src.utils.errors import UserError

TEXTS = (Path(__file__).parent / "fixtures" / "grammar.txt").read_text().splitlines()
SHARED = Path(__file__).parents[3] / "shared" / "data" / "LibriSpeech" / "dev-clean-part"


@pytest.fixture(scope="module", params=["characters", "sentencepiece"])
def encoder(request, tmp_path_factory):
    if request.param == "characters":
        return CTCTextEncoder()
    cache = str(tmp_path_factory.mktemp("sentencepiece"))
    return SentencePieceCTCTextEncoder(100, cache_dir=cache).fit(TEXTS)


def read(utterances, encoder):
    decoder = ArgmaxDecoder(encoder)
    return [
        hypothesis.text
        for log_probs, length, _ in utterances.batches(7)
        for [hypothesis] in decoder(log_probs, length)
    ]


def entropy(utterances):
    frames = torch.cat(utterances.log_probs)
    return float(-(frames.exp() * frames).sum(dim=1).mean())


@pytest.mark.parametrize("posteriors", ["peaky", "flat"])
def test_without_noise_the_transcript_is_read(encoder, posteriors):
    utterances = simulate(TEXTS, encoder, posteriors=posteriors, noise=0.05)
    assert read(utterances, encoder) == utterances.texts == TEXTS


def test_every_frame_is_a_distribution_and_flat_ones_are_flatter(encoder):
    peaky, flat = (simulate(TEXTS, encoder, posteriors=name) for name in ("peaky", "flat"))
    for utterances in (peaky, flat):
        total = torch.cat(utterances.log_probs).exp().sum(dim=1)
        torch.testing.assert_close(total, torch.ones_like(total))
    assert entropy(flat) > 2 * entropy(peaky)


def test_the_seed_decides_and_each_utterance_has_its_noise(encoder):
    first, again, other = (simulate(TEXTS[:3] * 2, encoder, seed=seed) for seed in (0, 0, 1))
    for a, b in zip(first.log_probs, again.log_probs):
        assert torch.equal(a, b)
    assert not any(
        a.shape == b.shape and torch.allclose(a, b)
        for a, b in zip(first.log_probs, other.log_probs + first.log_probs[3:])
    )


def test_speech_has_25_frames_and_14_characters_a_second(encoder):
    long = [" ".join(TEXTS[start : start + 3]) for start in range(0, 90, 3)]
    for posteriors in ("peaky", "flat"):
        utterances = simulate(long, encoder, posteriors=posteriors)
        frames = sum(map(len, utterances.log_probs))
        assert utterances.seconds == pytest.approx(frames / 25)
        assert sum(map(len, long)) / utterances.seconds == pytest.approx(14, rel=0.1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared LibriSpeech dev-clean-part")
@pytest.mark.parametrize("posteriors", ["peaky", "flat"])
def test_errors_on_ordinary_english_are_as_promised(posteriors):
    lines = [
        line for path in sorted(SHARED.rglob("*.trans.txt")) for line in path.open().readlines()
    ]
    texts = [normalize_text(line.split(" ", 1)[1]) for line in lines[::2]]
    utterances = simulate(texts, CTCTextEncoder(), posteriors=posteriors)
    hypotheses = read(utterances, CTCTextEncoder())
    words = sum(map(word_errors, texts, hypotheses), ErrorCounts())
    characters = sum(map(character_errors, texts, hypotheses), ErrorCounts())
    assert words.rate == pytest.approx(0.45, abs=0.05)
    assert characters.rate == pytest.approx(0.13, abs=0.025)


def test_letters_are_taken_for_letters_that_sound_alike():
    """Read `baba...` many times: wrong letters are those of the same kind."""
    [text] = read(simulate(["ba" * 500], CTCTextEncoder(), noise=0.26), CTCTextEncoder())
    wrong = [letter for letter in text if letter not in "ab"]
    alike = [letter for letter in wrong if letter in "peiouy"]
    assert len(wrong) > 50
    assert len(alike) > 0.6 * len(wrong)  # of 26 letters and signs, 6 are alike


def test_other_posteriors_are_refused(encoder):
    with pytest.raises(UserError, match="posteriors is 'round'; choose peaky or flat"):
        simulate(["a"], encoder, posteriors="round")
