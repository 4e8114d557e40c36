"""What an upload is, its content says; what it holds is read as far as it goes."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
import soundfile
import torch

from src.app.recording import PEAKS_A_SECOND, Recording, decoded
from src.app.refusal import Cancelled, Refusal
from src.utils.audio import read_audio
from tests.app.conftest import noise

NEVER = threading.Event()
FORMATS = {"WAV": None, "FLAC": None, "OGG": "VORBIS", "MP3": None}


def encoded(format_: str, seconds: float = 4.0, rate: int = 16000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise(seconds, rate=rate), rate, format=format_, subtype=FORMATS[format_])
    return file.getvalue()


def read(path, max_seconds=60.0):
    with decoded(path, 16000, max_seconds, NEVER) as recording:
        return torch.cat(list(recording.blocks(16000))), recording


@pytest.mark.parametrize("format_", FORMATS)
def test_any_format_under_any_name_is_what_read_audio_reads(format_, tmp_path):
    path = tmp_path / "upload.txt"
    path.write_bytes(encoded(format_, rate=22050))
    samples, recording = read(path)
    assert torch.equal(samples, read_audio(path, 16000))
    assert recording.warning is None


@pytest.mark.parametrize("format_", ["WAV", "OGG", "MP3"])
def test_half_a_file_is_read_and_said_to_be_half(format_, tmp_path):
    content = encoded(format_, seconds=20.0)
    path = tmp_path / "upload"
    path.write_bytes(content[: len(content) // 2])
    samples, recording = read(path)
    assert 6 < len(samples) / 16000 < 14
    seconds = f"{len(samples) / 16000:.1f}"
    assert recording.warning == f"The file ends early: this is what is in its first {seconds} s."


def test_half_a_flac_is_refused(tmp_path):
    content = encoded("FLAC", seconds=20.0)
    (tmp_path / "upload").write_bytes(content[: len(content) // 2])
    with pytest.raises(Refusal, match="ends early: it cannot be read to its end") as refusal:
        read(tmp_path / "upload")
    assert refusal.value.status == 422


def test_a_wav_that_was_written_into_a_pipe_is_not_called_cut(tmp_path):
    content = bytearray(encoded("WAV"))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "upload").write_bytes(content)
    samples, recording = read(tmp_path / "upload")
    assert len(samples) == 4 * 16000
    assert recording.warning is None


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"\0\0\0\x20ftypisom" + bytes(range(256)) * 40, 415, "This is an MP4 file"),
        (b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 40, 415, "This is a WebM or Matroska file"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(4000), 415, "This is an AVI file"),
        (b"%PDF-1.7\n" + bytes(4000), 415, "This is a PDF"),
        (bytes(10_000), 415, "These 10000 bytes are not a recording"),
        (b"/etc/passwd", 415, "These 11 bytes are not a recording"),
        (b"", 422, "The file is empty"),
        (encoded("WAV")[:44], 422, "The file has no samples"),
    ],
)
def test_what_is_no_recording_is_told_so(content, status, words, tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(Refusal) as refusal:
        read(path)
    assert refusal.value.status == status
    assert str(refusal.value).startswith(words)
    assert str(tmp_path) not in str(refusal.value)


def test_too_long_is_found_while_reading(tmp_path):
    (tmp_path / "upload").write_bytes(encoded("FLAC", seconds=4.0))
    with pytest.raises(Refusal, match=r"longer than 3\.5 seconds") as refusal:
        read(tmp_path / "upload", max_seconds=3.5)
    assert refusal.value.status == 413
    assert len(read(tmp_path / "upload", max_seconds=4.0)[0]) == 4 * 16000


def test_reading_stops_when_nobody_waits(tmp_path):
    (tmp_path / "upload").write_bytes(encoded("WAV"))
    gone = threading.Event()
    gone.set()
    with pytest.raises(Cancelled), decoded(tmp_path / "upload", 16000, 60.0, gone):
        pass


def test_peaks_are_those_of_the_samples():
    samples = torch.from_numpy(noise(50.01)).float()
    with Recording(16000, 60.0) as recording:
        for part in samples.split(7001):
            recording.write(part)
        peaks = recording.peaks()
        assert recording.seconds == pytest.approx(50.01)
    span = 16000 // PEAKS_A_SECOND
    expected = [part.abs().max() for part in samples.split(span)]
    assert np.allclose(peaks, torch.stack(expected), atol=0.0051)
