from __future__ import annotations

import math
import random

import numpy as np
import pytest
import soundfile
import torch

from src.utils.audio import AUDIO_EXTENSIONS, audio_duration, decode_audio, read_audio
from src.utils.errors import UserError
from tests.datasets.conftest import write_tone


def sine(seconds: float, rate: int, hertz: float = 440) -> torch.Tensor:
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (0.5 * torch.sin(2 * math.pi * hertz * time)).float()


@pytest.mark.parametrize("file_rate", [8000, 11127, 22050, 44100, 48000])
def test_resampled_sine_is_the_sine_sampled_at_the_new_rate(tmp_path, file_rate):
    path = tmp_path / "tone.wav"
    soundfile.write(path, sine(1.0, file_rate).numpy(), file_rate, subtype="FLOAT")
    waveform = read_audio(path, 16000)
    assert abs(len(waveform) - 16000) <= 1
    inside = slice(800, 15200)  # the filter sees silence beyond the ends
    expected = sine(1.0, 16000)
    torch.testing.assert_close(waveform[inside], expected[inside], atol=5e-3, rtol=0)


@pytest.mark.parametrize("extension", AUDIO_EXTENSIONS)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_every_format_is_read_and_its_header_tells_the_exact_duration(tmp_path, extension, rate):
    path = tmp_path / f"tone{extension}"
    write_tone(path, seconds=1.3, rate=rate)
    waveform, file_rate = decode_audio(path)
    assert file_rate == rate
    assert audio_duration(path) == len(waveform) / rate
    assert audio_duration(path) == pytest.approx(1.3, abs=0.1)  # mp3 pads to whole frames
    spectrum = torch.fft.rfft(waveform)
    peak = spectrum.abs().argmax().item() * rate / len(waveform)
    assert peak == pytest.approx(440, abs=2)
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4]  # opus rings where the tone ends
    assert middle.square().mean().sqrt().item() == pytest.approx(0.5 / math.sqrt(2), rel=0.05)


def test_real_headers_tell_the_exact_duration(shared_data):
    """mp3 and opus headers need not: libsndfile finds the end of the stream."""
    picked = random.Random(0)
    for extension in ("mp3", "opus", "flac"):
        files = sorted(shared_data.rglob(f"*.{extension}"))
        for path in picked.sample(files, min(30, len(files))):
            waveform, rate = decode_audio(path)
            assert audio_duration(path) == len(waveform) / rate, path


def test_channels_are_averaged(tmp_path):
    left, right = sine(0.2, 16000, 440), sine(0.2, 16000, 1000)
    path = tmp_path / "stereo.wav"
    soundfile.write(path, torch.stack([left, right], dim=1).numpy(), 16000, subtype="FLOAT")
    torch.testing.assert_close(read_audio(path, 16000), (left + right) / 2)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_samples_stay_in_range(tmp_path, rate):
    path = tmp_path / "loud.wav"
    samples = np.sign(sine(0.2, rate).numpy()) * 3
    samples[100], samples[200] = np.inf, -np.inf
    soundfile.write(path, samples, rate, subtype="FLOAT")
    waveform = read_audio(path, 16000)
    assert waveform.isfinite().all()
    assert waveform.min() == -1
    assert waveform.max() == 1


def test_opposite_infinities_in_two_channels_are_no_nan(tmp_path):
    path = tmp_path / "infinite.wav"
    soundfile.write(path, np.array([[np.inf, -np.inf]] * 10), 16000, subtype="FLOAT")
    assert read_audio(path, 16000).tolist() == [0.0] * 10


def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "silent.wav", np.zeros(0), 16000)
    (tmp_path / "zero.wav").touch()
    (tmp_path / "words.wav").write_text("these are words")
    for name, words in {
        "nan.wav": "NaN",
        "silent.wav": "no samples",
        "zero.wav": "cannot be read",
        "words.wav": "cannot be read",
        "absent.wav": "does not exist",
    }.items():
        with pytest.raises(UserError, match=words) as caught:
            read_audio(tmp_path / name, 16000)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        if name != "nan.wav":
            with pytest.raises(UserError, match=words):
                audio_duration(tmp_path / name)


def test_names_outside_ascii_are_read(tmp_path):
    path = tmp_path / "été 東京.flac"
    write_tone(path, seconds=0.25)
    assert len(read_audio(path, 16000)) == 4000
