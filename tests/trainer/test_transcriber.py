from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch

from src.decoding import Word
from src.trainer import Transcriber
from src.trainer.transcript import confidence_of
from src.utils.errors import UserError


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Five seconds in stereo at 44.1 kHz, with a beginning that differs from the end."""
    path = tmp_path_factory.mktemp("noise") / "été 1.wav"
    loud = np.linspace(0.01, 0.9, 5 * 44100)[:, None]
    samples = np.random.default_rng(0).uniform(-1, 1, (5 * 44100, 2)) * loud
    soundfile.write(path, samples, 44100, subtype="FLOAT")
    return path


def test_three_lines(untrained, noise):
    transcriber = Transcriber.from_pretrained(untrained)
    transcript = transcriber(noise)
    assert transcript.text
    assert transcript.duration == pytest.approx(5.0)
    assert [word.text for word in transcript.words] == transcript.text.split()
    times = [t for word in transcript.words for t in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= 5.0
    assert transcript.score < 0
    log_mean = np.mean([math.log(word.confidence) for word in transcript.words])
    assert transcript.confidence == pytest.approx(math.exp(log_mean))


@pytest.mark.parametrize("kind", ["array", "tensor", "list", "mono"])
def test_a_waveform_is_what_its_file_is(untrained, noise, kind):
    transcriber = Transcriber.from_pretrained(untrained)
    samples, rate = soundfile.read(noise, dtype="float32")
    waveform = samples.T
    if kind == "tensor":
        waveform = torch.from_numpy(waveform.copy())
    elif kind == "list":
        waveform = waveform.tolist()
    elif kind == "mono":
        waveform = waveform.mean(axis=0)
    assert transcriber(waveform, rate).text == transcriber(str(noise)).text
    with pytest.raises(UserError, match="sample_rate"):
        transcriber(waveform)


def test_decoders_are_named_as_in_the_configs(untrained, noise, tmp_path):
    lm = tmp_path / "lm.arpa"
    lm.write_text("\\data\\\nngram 1=4\n\n\\1-grams:\n-9 <unk>\n0 <s>\n-1 </s>\n-1 a\n\n\\end\\\n")
    plain = Transcriber.from_pretrained(untrained, decoder="beam_search")(noise)
    ruled = Transcriber.from_pretrained(
        untrained, decoder="beam_search_lm", lm=str(lm), vocabulary="closed", beam_size=8
    )(noise)
    assert set(ruled.text.split()) <= {"a"}
    assert set(plain.text.split()) - {"a"}
    with pytest.raises(UserError, match="no decoder 'beam'; choose one of argmax, beam_search"):
        Transcriber.from_pretrained(untrained, decoder="beam")


def test_silence_is_not_confident():
    assert confidence_of([]) is None
    assert confidence_of([Word("a", 0, 1, 0.25), Word("b", 1, 2, 1.0)]) == pytest.approx(0.5)
    assert confidence_of([Word("a", 0, 1, 0.0)]) == 0.0


@pytest.mark.parametrize("count", [1, 160, 1000])
def test_hardly_a_sound_is_transcribed(untrained, count):
    transcript = Transcriber.from_pretrained(untrained)(np.full(count, 0.1), 16000)
    assert transcript.duration == count / 16000
