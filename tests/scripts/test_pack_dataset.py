"""The command on a part and on a manifest."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.datasets import LibriSpeechDataset

SCRIPT = Path(__file__).parents[2] / "scripts" / "pack_dataset.py"


@pytest.fixture
def pack_dataset(monkeypatch):
    """pack_dataset(PART, "--out", DIR) in this process, since starting one takes seconds."""

    def run(*arguments: object) -> None:
        monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, arguments), "--workers", "1"])
        runpy.run_path(str(SCRIPT), run_name="__main__")

    return run


@pytest.fixture
def part(tmp_path) -> Path:
    folder = tmp_path / "LibriSpeech" / "tiny" / "19" / "198"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(3):
        pcm = rng.integers(-32768, 32768, 8000).astype(np.int16)
        soundfile.write(folder / f"19-198-{number:04d}.flac", pcm, 16000)
    lines = [f"19-198-{number:04d} TEXT\n" for number in range(3)]
    (folder / "19-198.trans.txt").write_text("".join(lines))
    return tmp_path / "LibriSpeech" / "tiny"


def test_a_part_is_packed_once_and_anew_when_it_changed(part, pack_dataset, capsys):
    header = part.with_name("tiny.packed") / "pack.json"
    pack_dataset(part)
    assert "tiny.packed: 3 utterances, 0.00 h, equal to the source bit by bit" in (
        capsys.readouterr().out
    )
    written = header.stat().st_mtime_ns
    pack_dataset(part)
    assert header.stat().st_mtime_ns == written
    (part / "19/198/19-198-0002.flac").unlink()
    pack_dataset(part)
    assert "2 utterances" in capsys.readouterr().out
    assert len(LibriSpeechDataset("tiny", str(part.parent), packed=True)) == 2


def test_a_manifest_is_packed_elsewhere_and_verified(part, pack_dataset, tmp_path, capsys):
    manifest = tmp_path / "train.jsonl"
    path = part / "19/198/19-198-0001.flac"
    manifest.write_text(json.dumps({"audio_filepath": str(path), "text": "a"}))
    pack_dataset(manifest, "--out", tmp_path / "packs")
    pack_dataset("--verify", tmp_path / "packs" / "train.jsonl.packed")
    assert "every checksum agrees" in capsys.readouterr().out
    (tmp_path / "packs/train.jsonl.packed/00000.pcm").write_bytes(bytes(16000))
    with pytest.raises(SystemExit, match="2"):
        pack_dataset("--verify", tmp_path / "packs" / "train.jsonl.packed")
    assert "00000.pcm is damaged (its checksum differs)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing"], "missing does not exist: name a LibriSpeech part or a manifest"),
        (["--verify", "missing"], "missing does not exist"),
        (["tiny", "--shard-hours", "0"], "must be positive"),
        (["tiny", "--out", "a file"], "tiny.packed cannot be written"),
    ],
)
def test_mistakes_end_in_one_sentence(part, pack_dataset, arguments, sentence, monkeypatch, capsys):
    monkeypatch.chdir(part.parent)
    Path("a file").write_text("")
    with pytest.raises(SystemExit) as exit_:
        pack_dataset(*arguments)
    assert exit_.value.code == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error.splitlines()[-1]
    assert "Traceback" not in error
