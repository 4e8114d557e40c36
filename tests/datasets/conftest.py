"""Small corpora on the disk, and the real one beside the checkout where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

SUBTYPES = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
}


@pytest.fixture(autouse=True)
def user_cache(tmp_path_factory, monkeypatch) -> Path:
    """Indexes of read-only folders go here, not into the home of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("xdg-cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def write_tone(
    path: Path, seconds: float = 0.5, rate: int = 16000, hertz: float = 440, channels: int = 1
) -> None:
    """A sine of amplitude 0.5 in the format of the path's extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    samples = np.repeat(0.5 * np.sin(2 * np.pi * hertz * time)[:, None], channels, axis=1)
    container, subtype = SUBTYPES[path.suffix.lower()]
    soundfile.write(path, samples, rate, format=container, subtype=subtype)


CHAPTERS = {
    "19/198": [
        ("19-198-0000", ".flac", 0.5, "NORTHANGER ABBEY"),
        ("19-198-0001", ".wav", 1.0, "THIS LITTLE WORK"),
        ("19-198-0002", ".mp3", 1.5, "IT WAS FINISHED"),
    ],
    "26/495": [
        ("26-495-0000", ".ogg", 2.0, "I DON'T KNOW"),
        ("26-495-0001", ".opus", 2.5, "A"),
    ],
}


@pytest.fixture
def librispeech_root(tmp_path) -> Path:
    """`CHAPTERS` as the part `tiny` of a LibriSpeech folder."""
    write_part(tmp_path / "LibriSpeech" / "tiny")
    return tmp_path / "LibriSpeech"


def write_part(part: Path) -> None:
    for chapter, utterances in CHAPTERS.items():
        folder = part / chapter
        for utterance_id, extension, seconds, _ in utterances:
            write_tone(folder / f"{utterance_id}{extension}", seconds)
        lines = [f"{utterance_id} {text}\n" for utterance_id, _, _, text in utterances]
        (folder / f"{chapter.replace('/', '-')}.trans.txt").write_text("".join(lines))
