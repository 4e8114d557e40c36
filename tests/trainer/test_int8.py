"""A recogniser that has learnt to hear still hears with its linear layers in 8 bits."""

from __future__ import annotations

import random

import pytest
from omegaconf import OmegaConf

from src.metrics import ErrorCounts, word_errors
from src.trainer import Transcriber
from src.trainer.checkpoint import save_checkpoint
from src.trainer.onnx_export import export_onnx
from tests.trainer import tone_speech
from tests.trainer.tone_speech import ENCODER, SIZES, speech

pytest.importorskip("onnx", reason="needs onnx: pip install onnx onnxruntime")
pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnx onnxruntime")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones") / "run"
    save_checkpoint(folder / "checkpoints/best", tone_speech.trained().model, {})
    ENCODER.save(folder / "text_encoder")
    log_mel = {"_target_": "src.transforms.LogMel"}
    config = {
        "model": {"_target_": "src.model.Conformer", **SIZES},
        "transforms": {"_target_": "src.transforms.Transforms", "log_mel": log_mel},
    }
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    export_onnx(folder, int8=True)
    return folder


@pytest.mark.slow
def test_words_of_new_speech(run):
    """60 utterances, 300 words: as good as PyTorch, alone and in windows."""
    draw = random.Random(7)
    utterances = [speech(draw, 5) for _ in range(60)]
    long = speech(draw, 60)
    rates = {}
    for backend in ("torch", "onnx", "onnx_int8"):
        transcriber = Transcriber.from_pretrained(
            run, backend=backend, window_seconds=8, overlap_seconds=3
        )
        errors = ErrorCounts()
        for audio, text in [*utterances, long]:
            errors += word_errors(text, transcriber(audio, 16000).text)
        rates[backend] = errors.rate
    assert rates["torch"] < 0.05, "it has learnt to hear"
    assert rates["onnx"] == rates["torch"]
    assert rates["onnx_int8"] < rates["torch"] + 0.02
