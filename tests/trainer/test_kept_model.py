"""The recogniser that comes with the repository, as README.md uses it."""

from pathlib import Path

import pytest
import torch
from torchaudio.functional import resample

from src.app.about import about
from src.decoding.from_config import build_decoder
from src.metrics import RecognitionMetrics, word_errors
from src.text_encoder import normalize_text
from src.trainer import Inferencer, Transcriber
from src.trainer.pretrained import load_pretrained
from src.utils.espeak import SAMPLE_RATE, EspeakSynthesizer, Voice

MODEL = Path(__file__).parents[2] / "models" / "librispeech_12h"


@pytest.fixture(scope="module")
def transcriber():
    return Transcriber.from_pretrained(
        MODEL, decoder="beam_search_closed", lm=str(MODEL / "lm.arpa.gz")
    )


def test_it_is_small_and_names_nobody_s_folders():
    assert (MODEL / "model.safetensors").stat().st_size < 30e6
    assert sum(file.stat().st_size for file in MODEL.rglob("*") if file.is_file()) < 35e6
    assert "/" not in {line.split(": ")[-1][:1] for line in (MODEL / "config.yaml").open()}


def test_it_understands_a_synthesiser(transcriber):
    text = "the captain looked at the letter for a long time before he answered"
    spoken = EspeakSynthesizer().synthesize(text, Voice("en-us", "m1", rate=150))
    audio = resample(torch.from_numpy(spoken), SAMPLE_RATE, 16000)
    found = transcriber(audio, sample_rate=16000)
    assert word_errors(text, found.text).errors <= 4


def test_it_understands_people_whom_it_never_heard(transcriber, shared_data):
    """The first recording of each of ten chapters."""
    part = shared_data / "LibriSpeech" / "dev-clean-part"
    errors = words = 0
    for transcripts in sorted(part.rglob("*.trans.txt"))[:30:3]:
        name, _, text = transcripts.read_text().splitlines()[0].partition(" ")
        counts = word_errors(
            normalize_text(text), transcriber(transcripts.parent / f"{name}.mp3").text
        )
        errors += counts.errors
        words += counts.reference_length
    assert errors / words < 0.45


def test_whoever_decodes_it_without_words_is_told(caplog, tmp_path):
    pretrained = load_pretrained(MODEL)
    without, with_words = (
        {"usual": build_decoder(name, pretrained.text_encoder, 0.04, **options)}
        for name, options in (
            ("argmax", {}),
            ("beam_search_closed", {"lm": str(MODEL / "lm.arpa.gz")}),
        )
    )
    Inferencer(pretrained, RecognitionMetrics(with_words), tmp_path)
    assert not caplog.text
    Inferencer(pretrained, RecognitionMetrics(without), tmp_path)
    assert "(metrics=beam_lm_closed) with lm=LM.arpa" in caplog.text
    caplog.clear()
    Transcriber(pretrained)
    assert "use beam_search_closed" in caplog.text


def test_the_page_names_its_units():
    assert about(load_pretrained(MODEL), "x")["text_encoder"].endswith(" phonemes")
