"""Hundreds of damaged recordings beside healthy ones: none of them takes anything else with it.

python -m pytest -s tests/trainer/test_damaged_inputs.py     # prints what became of each kind
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.datasets import CustomDirAudioDataset
from tests.datasets.conftest import SUBTYPES
from tests.trainer.test_inferencer import inferencer, lines

FORMATS = list(SUBTYPES)
EACH = 24  # of a format and a kind of damage


def healthy_bytes(folder: Path) -> dict[str, bytes]:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    whole = {}
    for extension, (container, subtype) in SUBTYPES.items():
        path = folder / f"source{extension}"
        soundfile.write(path, samples, 16000, format=container, subtype=subtype)
        whole[extension] = path.read_bytes()
        path.unlink()
    return whole


def truncated(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(1, len(content))]


def flipped(content: bytes, draw: random.Random) -> bytes:
    """Bits anywhere, in a third of the cases in the header only."""
    damaged = bytearray(content)
    reach = draw.choice([len(content), len(content), 64])
    for _ in range(draw.choice([1, 4, 40])):
        damaged[draw.randrange(reach)] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def overwritten(content: bytes, draw: random.Random) -> bytes:
    """A stretch of noise, zeros or ones."""
    start = draw.randrange(len(content))
    count = min(draw.choice([4, 100, 2000]), len(content) - start)
    filling = draw.choice([bytes(count), b"\xff" * count, draw.randbytes(count)])
    return content[:start] + filling + content[start + count :]


def enlarged(content: bytes, draw: random.Random) -> bytes:
    """Largest numbers where a header says how much there is, and a tail of something else."""
    damaged = bytearray(content)
    start = draw.randrange(4, 60)
    damaged[start : start + 4] = b"\xff\xff\xff\x7f"
    return bytes(damaged) + draw.randbytes(draw.choice([0, 1000]))


def write_header(path: Path, rate: int, channels: int, bits: int, announced: int) -> None:
    """A RIFF file by hand: what soundfile would not write."""
    data = np.random.default_rng(1).integers(-9000, 9000, 4000, dtype=np.int16).tobytes()
    block = channels * bits // 8 & 0xFFFF
    path.write_bytes(
        b"RIFF" + min(36 + announced, 2**32 - 1).to_bytes(4, "little") + b"WAVEfmt "
        + (16).to_bytes(4, "little") + (1).to_bytes(2, "little") + channels.to_bytes(2, "little")
        + rate.to_bytes(4, "little") + (rate * block & 0xFFFFFFFF).to_bytes(4, "little")
        + block.to_bytes(2, "little") + bits.to_bytes(2, "little")
        + b"data" + announced.to_bytes(4, "little") + data
    )  # fmt: skip


def write_damaged(folder: Path) -> Counter:
    """Fills `folder`, a subfolder a kind; how many there are of each."""
    draw = random.Random(0)
    whole = healthy_bytes(folder)
    for damage in (truncated, flipped, overwritten, enlarged):
        place = folder / damage.__name__
        place.mkdir()
        for extension, content in whole.items():
            for number in range(EACH):
                (place / f"{number}{extension}").write_bytes(damage(content, draw))
    place = folder / "wrong extension"
    place.mkdir()
    others = {".txt": b"words\n" * 100, ".png": b"\x89PNG\r\n\x1a\n" + draw.randbytes(500)}
    for extension in FORMATS:
        for other, content in {**whole, **others, ".none": b"", ".zero": bytes(5000)}.items():
            if other != extension:
                (place / f"{other[1:]}{extension}").write_bytes(content)
    place = folder / "header"
    place.mkdir()
    for rate in (0, 1, 7, 999, 192_000, 1_000_001, 2**31 - 1, 2**32 - 1):
        write_header(place / f"rate {rate}.wav", rate, 1, 16, 8000)
    for channels in (0, 2, 255, 1024, 1025, 65535):
        write_header(place / f"channels {channels}.wav", 16000, channels, 16, 8000)
    for bits in (0, 1, 7, 17, 64, 65535):
        write_header(place / f"bits {bits}.wav", 16000, 1, bits, 8000)
    for announced in (0, 1, 2**31, 2**32 - 1):
        write_header(place / f"announced {announced}.wav", 16000, 1, 16, announced)
    place = folder / "samples"
    place.mkdir()
    for name, value in (("nan", np.nan), ("inf", np.inf), ("minus inf", -np.inf), ("huge", 1e38)):
        for count in (1, 4000):
            samples = np.zeros(4000)
            samples[:count] = value
            soundfile.write(place / f"{name} {count}.wav", samples, 16000, subtype="FLOAT")
    for count in (0, 1, 2, 160):
        soundfile.write(place / f"count {count}.wav", np.full(count, 0.1), 16000)
    place = folder / "links"
    place.mkdir()
    for extension in FORMATS:
        (place / f"dangling{extension}").symlink_to(folder / "nowhere")
        (place / f"loop{extension}").symlink_to(place / f"loop{extension}")
        (place / f"good{extension}").symlink_to(folder / "healthy" / f"0{extension}")
        (place / f"a folder{extension}").mkdir()
        os.mkfifo(place / f"pipe{extension}")
    (place / "up.wav").symlink_to(folder)
    (folder / "healthy").mkdir()
    for extension, content in whole.items():
        for number in range(2):
            (folder / "healthy" / f"{number}{extension}").write_bytes(content)
    return Counter(
        Path(name).parent.name if "a folder" not in name else "links"
        for name in (str(p) for p in folder.rglob("*"))
        if name.lower().endswith(tuple(FORMATS))
    )


@pytest.mark.timeout(300)
def test_damage_stays_where_it_is(untrained, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    written = write_damaged(folder)
    damaged = sum(count for kind, count in written.items() if kind != "healthy")
    assert damaged >= 550
    made = inferencer(untrained, tmp_path / "out", max_batch_seconds=20)
    dataset = CustomDirAudioDataset(str(folder))
    made.transcribe("test", dataset)
    records = lines(tmp_path / "out/test/transcripts.jsonl")

    kinds: dict[str, Counter] = {}
    for record in records:
        kind = Path(record["path"]).relative_to(folder).parts[0]
        result = "failed" if "error" in record else "transcribed"
        kinds.setdefault(kind, Counter())[result] += 1
        if "error" in record:
            assert Path(record["path"]).name in record["error"]
            assert "\n" not in record["error"]
        else:
            assert 0 <= record["duration"] < 60, record["path"]
    with capsys.disabled():
        print()
        for kind, counts in kinds.items():
            print(f"  {kind}: {dict(counts)}")

    # every file is accounted for, except folders and pipes, which are no recordings
    no_files = 2 * len(FORMATS) + 1
    assert len(records) == sum(written.values()) - no_files
    assert len({record["utterance_id"] for record in records}) == len(records)
    assert [r["path"] for r in records] == sorted(
        (r["path"] for r in records), key=lambda path: str(Path(path).relative_to(folder))
    )
    # what is whole says what it says alone
    assert kinds["healthy"] == {"transcribed": 2 * len(FORMATS)}
    alone = inferencer(untrained, tmp_path / "alone", max_batch_seconds=20)
    alone.transcribe("test", CustomDirAudioDataset(str(folder / "healthy")))
    said = {
        Path(record["path"]).name: record["text"]
        for record in records
        if Path(record["path"]).parent.name == "healthy"
    }
    assert said == {
        Path(record["path"]).name: record["text"]
        for record in lines(tmp_path / "alone/test/transcripts.jsonl")
    }
    by_name = {str(Path(r["path"]).relative_to(folder)): r for r in records}
    for extension in FORMATS:
        assert "error" in by_name[f"links/dangling{extension}"]
        assert "error" in by_name[f"links/loop{extension}"]
        assert by_name[f"links/good{extension}"]["text"] == said[f"0{extension}"]
    assert "NaN" in by_name["samples/nan 1.wav"]["error"]
    assert "no samples" in by_name["samples/count 0.wav"]["error"]
    assert "text" in by_name["samples/inf 4000.wav"]
    assert "claims 7 samples a second" in by_name["header/rate 7.wav"]["error"]
    json.dumps(records, allow_nan=False)
