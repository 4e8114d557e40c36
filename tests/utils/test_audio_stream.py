from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from src.utils import audio, audio_stream
from src.utils.audio import audio_duration, read_audio
from src.utils.audio_stream import AudioFile, Waveform, chunks
from src.utils.errors import UserError
from tests.datasets.conftest import write_tone


def noise(count, channels=1):
    return np.random.default_rng(0).uniform(-0.9, 0.9, (count, channels)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 11127, 16000, 22050, 44100, 48000, 192000])
@pytest.mark.parametrize("block", [1000, 7777])
def test_blocks_together_are_the_recording_resampled_at_once(tmp_path, monkeypatch, rate, block):
    monkeypatch.setattr(audio_stream, "BLOCK", block)
    monkeypatch.setattr(audio, "VALUES_READ_AT_ONCE", 2 * 501)
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(30011, channels=2), rate, subtype="FLOAT")
    blocks = list(AudioFile(path).blocks(16000))
    assert len(blocks) > 3
    torch.testing.assert_close(torch.cat(blocks), read_audio(path, 16000), atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 5, 159])
def test_recordings_shorter_than_the_filter(tmp_path, count):
    path = tmp_path / "short.wav"
    soundfile.write(path, noise(count), 44100, subtype="FLOAT")
    got = torch.cat(list(AudioFile(path).blocks(16000)))
    torch.testing.assert_close(got, read_audio(path, 16000), atol=1e-6, rtol=0)


@pytest.mark.parametrize("extension", ["flac", "mp3", "ogg", "opus"])
def test_compressed_recordings_are_read_on_without_a_gap(tmp_path, monkeypatch, extension):
    path = tmp_path / f"tone.{extension}"
    write_tone(path, seconds=1.0, rate=48000)
    samples, _ = soundfile.read(path, dtype="float32")
    torch.testing.assert_close(read_audio(path, 48000), torch.from_numpy(samples))
    whole = read_audio(path, 16000)
    monkeypatch.setattr(audio, "VALUES_READ_AT_ONCE", 997)
    monkeypatch.setattr(audio_stream, "BLOCK", 5000)
    torch.testing.assert_close(torch.cat(list(AudioFile(path).blocks(16000))), whole)


@pytest.mark.parametrize("size, overlap", [(10, 0), (10, 3), (7, 5)])
@pytest.mark.parametrize("count", [1, 7, 9, 10, 11, 17, 60, 61])
@pytest.mark.parametrize("block", [1, 4, 100])
def test_chunks_cover_everything_and_only_the_last_is_marked(size, overlap, count, block):
    samples = torch.arange(count)
    found = list(chunks(samples.split(block), size, overlap))
    assert [is_last for _, is_last in found] == [False] * (len(found) - 1) + [True]
    assert all(len(chunk) == size for chunk, _ in found[:-1])
    assert len(found[-1][0]) > overlap or len(found) == 1
    for number, (chunk, _) in enumerate(found):
        start = number * (size - overlap)
        assert chunk.tolist() == samples[start : start + len(chunk)].tolist()
    assert found[-1][0][-1] == count - 1


def test_a_waveform_is_what_its_file_is(tmp_path):
    path = tmp_path / "noise.wav"
    samples = noise(9000, channels=2)
    soundfile.write(path, samples, 44100, subtype="FLOAT")
    source = Waveform(torch.from_numpy(samples.T.copy()), 44100)
    torch.testing.assert_close(torch.cat(list(source.blocks(16000))), read_audio(path, 16000))


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (torch.zeros(0), 16000, r"not \[0\]"),
        (torch.zeros(1, 2, 3), 16000, r"not \[1, 2, 3\]"),
        (torch.zeros(10, dtype=torch.int16), 16000, "int16"),
        (torch.full((10,), torch.nan), 16000, "NaN"),
        (torch.zeros(10), 0, "sample_rate=0"),
    ],
)
def test_impossible_waveforms_are_one_sentence(samples, rate, says):
    with pytest.raises(UserError, match=says):
        list(Waveform(samples, rate).blocks(16000))


def test_a_header_that_announces_days_costs_what_is_there(tmp_path):
    """STREAMINFO has 36 bits for the number of samples: here 40 days, of which 1 s is there."""
    path = tmp_path / "days.flac"
    soundfile.write(path, noise(16000), 16000)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the four high bits of the 36
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    assert audio_duration(path) > 40 * 86400
    try:
        assert len(read_audio(path, 16000)) == 16000
    except UserError as error:  # libsndfile may find that the stream ends early
        assert "days.flac" in str(error)


@pytest.mark.parametrize("rate", [1, 900, 2_000_000, 2**31 - 1])
def test_sample_rates_that_no_recorder_has_are_refused(tmp_path, rate):
    path = tmp_path / "rate.wav"
    soundfile.write(path, noise(100), 16000)
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    for read in (audio_duration, lambda path: read_audio(path, 16000)):
        with pytest.raises(UserError, match=f"rate.wav claims {rate} samples a second"):
            read(path)
