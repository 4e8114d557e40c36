"""With a model that has learnt to hear: windows say what one long window says, which is true."""

from __future__ import annotations

import random

import pytest

from src.trainer import Transcriber
from tests.trainer import tone_speech
from tests.trainer.tone_speech import speech


@pytest.fixture(scope="module")
def trained():
    return tone_speech.trained()


@pytest.mark.parametrize("window, overlap", [(5, 2), (6, 3), (8, 2.4), (12, 1.2)])
def test_the_text_at_the_seams_is_that_of_one_long_window(trained, window, overlap):
    audio, text = speech(random.Random(1), 60)
    assert len(audio) > 50 * 16000
    whole = Transcriber(trained, window_seconds=1000)(audio, 16000)
    windows = Transcriber(trained, window_seconds=window, overlap_seconds=overlap)(audio, 16000)
    assert windows.text == whole.text
    assert whole.text == text
    for word, same in zip(windows.words, whole.words):
        assert word.start == pytest.approx(same.start, abs=0.081)  # two frames
        assert word.end == pytest.approx(same.end, abs=0.081)
