"""Packs against the recordings they were made of, read by soundfile and by the datasets."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from src.datasets import Collate, DurationBatchSampler, LibriSpeechDataset, ManifestDataset
from src.datasets.librispeech_index import librispeech_index, part_fingerprint
from src.datasets.manifest import fill_durations, manifest_fingerprint, manifest_rows
from src.datasets.packed import load_pack, verify_pack
from src.datasets.packed_writer import Source, write_pack
from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError

SECONDS = (0.3, 1.0, 0.7, 0.2, 0.9)


@pytest.fixture
def root(tmp_path) -> Path:
    """Five utterances of noise, every 16-bit value likely, as the 16-bit FLAC of part `tiny`."""
    folder = tmp_path / "LibriSpeech" / "tiny" / "19" / "198"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, seconds in enumerate(SECONDS):
        pcm = rng.integers(-32768, 32768, round(16000 * seconds)).astype(np.int16)
        pcm[:2] = -32768, 32767
        soundfile.write(folder / f"19-198-{number:04d}.flac", pcm, 16000)
    lines = [f"19-198-{number:04d} TEXT {'A' * number}\n" for number in range(5)]
    (folder / "19-198.trans.txt").write_text("".join(lines))
    return tmp_path / "LibriSpeech"


def pack(root: Path, workers: int = 0, seconds: float = 0.8, out: Path | None = None) -> Path:
    """`seconds` of audio to a shard."""
    part, folder = root / "tiny", out or root / "tiny.packed"
    source = Source(part, librispeech_index(part), part_fingerprint(part))
    write_pack(source, folder, workers, seconds / 3600)
    return folder


def load(root: Path, **options) -> LibriSpeechDataset:
    return LibriSpeechDataset("tiny", str(root), download=False, **options)


def is_packed(dataset) -> bool:
    return all("packed" in row for row in dataset.index)


def assert_same_items(one, other) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other):
        left_audio, right_audio = left.pop("audio"), right.pop("audio")
        assert left == right
        assert left_audio.dtype == right_audio.dtype
        assert torch.equal(left_audio, right_audio)


@pytest.mark.parametrize("workers", [0, 2])
def test_items_equal_those_of_the_flac_bit_by_bit(root, workers):
    folder = pack(root, workers)
    assert len(list(folder.glob("*.pcm"))) == 3
    packed, recordings = load(root), load(root, packed=False)
    assert is_packed(packed)
    assert not is_packed(recordings)
    assert_same_items(packed, recordings)
    item = packed[1]
    samples, _ = soundfile.read(item["path"], dtype="int16")
    assert np.array_equal((item["audio"].numpy() * 32768).astype(np.int16), samples)
    verify_pack(folder)


def test_filters_and_shuffles_are_the_same(root):
    pack(root)
    options = {"min_duration": 0.25, "shuffle_index": True, "seed": 5, "limit": 3}
    assert_same_items(load(root, **options), load(root, packed=False, **options))


def test_loader_workers_give_the_same_batches(root):
    pack(root)

    def batches(dataset, workers: int, done: int = 0):
        sampler = DurationBatchSampler(dataset, max_batch_seconds=2.0, seed=3)
        sampler.load_state_dict({"epoch": 4, "batches": done})
        return list(
            DataLoader(
                dataset,
                batch_sampler=sampler,
                collate_fn=Collate(CTCTextEncoder()),
                num_workers=workers,
            )
        )

    packed = load(root)
    assert_same_items(pickle.loads(pickle.dumps(packed)), packed)  # as spawned workers get it
    assert len(pickle.dumps(packed)) < 5000, "the maps that are open by now do not travel"
    expected = batches(load(root, packed=False), workers=0)
    assert len(expected) > 2
    resumed = batches(packed, workers=2, done=1)
    for batch, other in zip(resumed, expected[1:], strict=True):
        assert torch.equal(batch["audio"], other["audio"])
        assert batch["utterance_id"] == other["utterance_id"]


def test_a_pack_stands_alone_and_elsewhere(root, tmp_path):
    expected = [item["audio"] for item in load(root, packed=False)]
    pack(root, out=tmp_path / "scratch" / "tiny.packed")
    assert not is_packed(load(root))
    shutil.rmtree(root / "tiny")
    packed = load(root, packed=str(tmp_path / "scratch"))
    assert [item["text"] for item in packed] == ["text", *(f"text {'a' * n}" for n in range(1, 5))]
    for item, audio in zip(packed, expected, strict=True):
        assert torch.equal(item["audio"], audio)
    with pytest.raises(UserError, match=r"tiny.packed does not exist"):
        load(root, packed=True)


def change_recording(root: Path) -> None:
    soundfile.write(root / "tiny/19/198/19-198-0001.flac", np.zeros(4000), 16000)


def change_transcript(root: Path) -> None:
    path = root / "tiny/19/198/19-198.trans.txt"
    before = path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("TEXT", "TAXT"))
    os.utime(path, ns=(before, before + 1_000_000))


def remove_recording(root: Path) -> None:
    (root / "tiny/19/198/19-198-0001.flac").unlink()


@pytest.mark.parametrize("change", [change_recording, change_transcript, remove_recording])
def test_a_stale_pack_is_refused_and_made_anew(root, change, caplog):
    pack(root)
    change(root)
    with pytest.raises(UserError, match=r"tiny changed since .*tiny\.packed"):
        load(root, packed=True)
    dataset = load(root)
    assert "changed since" in caplog.text
    assert not is_packed(dataset)
    pack(root)
    assert is_packed(load(root))
    assert_same_items(load(root), dataset)


def test_recordings_that_are_not_16_bit_are_rounded_only_on_demand(root):
    rng = np.random.default_rng(1)
    audio = rng.uniform(-1, 1, 16000).astype(np.float32)
    soundfile.write(root / "tiny/19/198/19-198-0005.wav", audio, 16000, subtype="FLOAT")
    soundfile.write(root / "tiny/19/198/19-198-0006.wav", np.ones(800), 8000, subtype="FLOAT")
    with (root / "tiny/19/198/19-198.trans.txt").open("a") as file:
        file.write("19-198-0005 FLOAT\n19-198-0006 LOUD AND LOW\n")
    pack(root)
    assert not is_packed(load(root))
    packed, recordings = load(root, packed=True), load(root, packed=False)
    assert is_packed(packed)
    for item, original in zip(packed, recordings, strict=True):
        difference = (item["audio"] - original["audio"]).abs().max()
        assert difference <= (2**-15 if "0006" in item["utterance_id"] else 2**-16)
    assert not torch.equal(packed[5]["audio"], recordings[5]["audio"])


def test_another_sample_rate_reads_the_recordings(root):
    pack(root)
    assert len(load(root, sample_rate=8000)[1]["audio"]) == 8000
    with pytest.raises(UserError, match="holds 16000 Hz and sample_rate=8000"):
        load(root, sample_rate=8000, packed=True)


def cut_shard(folder: Path) -> None:
    os.truncate(folder / "00001.pcm", 10)


def lose_shard(folder: Path) -> None:
    (folder / "00001.pcm").unlink()


def cut_shard_index(folder: Path) -> None:
    os.truncate(folder / "00000.json", 100)


def lose_header(folder: Path) -> None:
    (folder / "pack.json").unlink()


def age(folder: Path) -> None:
    header = json.loads((folder / "pack.json").read_text())
    (folder / "pack.json").write_text(json.dumps({**header, "format": 0}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_shard, r"00001\.pcm is damaged \(10 of \d+ bytes are there\)"),
        (lose_shard, r"00001\.pcm is damaged \(0 of \d+ bytes are there\)"),
        (cut_shard_index, r"00000\.json is damaged"),
        (lose_header, r"pack\.json is damaged"),
        (age, r"has format 0, this code reads 1"),
    ],
)
def test_a_damaged_pack_is_named(root, damage, words, caplog):
    damage(pack(root))
    with pytest.raises(UserError, match=words) as caught:
        load(root, packed=True)
    assert "pack again" in str(caught.value)
    assert not is_packed(load(root))
    assert str(caught.value) in caplog.text


def test_a_flipped_bit_is_found_by_the_checksum(root):
    folder = pack(root)
    content = bytearray((folder / "00002.pcm").read_bytes())
    content[77] ^= 4
    (folder / "00002.pcm").write_bytes(content)
    load_pack(folder)
    with pytest.raises(UserError, match=r"00002\.pcm is damaged \(its checksum differs\)"):
        verify_pack(folder)


def test_a_pack_that_vanishes_in_use_is_named(root):
    dataset = load(root, packed=str(pack(root, out=root / "x" / "tiny.packed").parent))
    shutil.rmtree(root / "x")
    with pytest.raises(UserError, match=r"00000\.pcm is damaged"):
        dataset[0]


def test_a_manifest_is_packed_with_its_order_and_gaps(root, tmp_path, caplog):
    entries = [
        {"audio_filepath": f"LibriSpeech/tiny/19/198/19-198-{number:04d}.flac", "text": text}
        for number, text in [(3, "Third!"), (0, None), (4, "fourth")]
    ]
    manifest = tmp_path / "train.jsonl"
    manifest.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    rows = manifest_rows(manifest)
    fill_durations(rows)
    source = Source(Path(), rows, manifest_fingerprint(manifest, rows))
    write_pack(source, tmp_path / "train.jsonl.packed", workers=0)
    packed = ManifestDataset(str(manifest))
    assert is_packed(packed)
    assert_same_items(packed, ManifestDataset(str(manifest), packed=False))
    manifest.write_text(manifest.read_text() + json.dumps(entries[0] | {"id": "again"}) + "\n")
    assert len(ManifestDataset(str(manifest))) == 4
    assert "changed since" in caplog.text
    with pytest.raises(UserError, match="changed since"):
        ManifestDataset(str(manifest), packed=True)


def test_real_speech_packed_from_flac(shared_data, tmp_path):
    """A chapter of LibriSpeech, as its FLAC would be."""
    chapter = next(path for path in sorted(shared_data.glob("LibriSpeech/train-clean-5/*/*")))
    folder = tmp_path / "tiny" / chapter.parent.name / chapter.name
    folder.mkdir(parents=True)
    shutil.copy(next(chapter.glob("*.trans.txt")), folder)
    for path in sorted(chapter.glob("*.opus"))[:20]:
        audio, rate = soundfile.read(path)
        soundfile.write(folder / f"{path.stem}.flac", audio, rate, subtype="PCM_16")
    pack(tmp_path, workers=2, seconds=60)
    packed = load(tmp_path)
    assert is_packed(packed)
    assert_same_items(packed, load(tmp_path, packed=False))


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.INFO)
