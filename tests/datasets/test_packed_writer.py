"""Packing that is killed, starved of space or fed bad files."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.datasets import packed_writer
from src.datasets.packed import load_pack, read_packed, verify_pack
from src.datasets.packed_writer import Source, write_pack
from src.utils.errors import UserError

SHARD_HOURS = 0.2 / 3600  # two utterances


@pytest.fixture
def source(tmp_path) -> Source:
    """Twelve recordings of 0.1 s."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        name = f"{number:02d}.flac"
        pcm = rng.integers(-32768, 32768, 1600).astype(np.int16)
        soundfile.write(tmp_path / name, pcm, 16000)
        rows.append({"utterance_id": f"u{number}", "path": name, "text": "A", "duration": 0.1})
    return Source(tmp_path, rows, "fingerprint")


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "packs" / "corpus.packed"


def assert_whole(out: Path, source: Source) -> None:
    verify_pack(out)
    pack = load_pack(out)
    assert [row["utterance_id"] for row in pack.rows] == [
        row["utterance_id"] for row in source.rows
    ]
    for row in pack.rows:
        expected, _ = soundfile.read(source.folder / row["path"], dtype="float32")
        assert np.array_equal(read_packed(*row["packed"]).numpy(), expected)
    visible = {path.name for path in out.parent.iterdir() if path.name[0] != "."}
    assert visible == {out.name}


def pack_slowly(source: Source, out: Path) -> None:
    read = packed_writer.read_audio

    def slow(*arguments):
        time.sleep(0.05)
        return read(*arguments)

    packed_writer.read_audio = slow
    write_pack(source, out, 1, SHARD_HOURS)


@pytest.mark.parametrize("finished", [0, 1, 4])
def test_a_killed_packing_goes_on_after_its_last_finished_shard(source, out, finished):
    """SIGKILL once `finished` of the six shards are there."""
    packing = multiprocessing.get_context("fork").Process(target=pack_slowly, args=(source, out))
    packing.start()
    partial = out.with_name("corpus.packed.partial")
    while len(list(partial.glob("0*.json"))) < finished or not partial.exists():
        time.sleep(0.005)
    os.kill(packing.pid, signal.SIGKILL)
    packing.join()
    assert not out.exists()
    kept = {path.name: path.stat().st_mtime_ns for path in partial.glob("0*.json")}
    assert len(kept) >= finished
    write_pack(source, out, 1, SHARD_HOURS)
    assert_whole(out, source)
    for name, written in kept.items():
        assert (out / name).stat().st_mtime_ns == written, "packed once"


def test_what_was_begun_for_another_source_is_not_mixed_in(source, out, monkeypatch):
    fail_after(monkeypatch, writes=5, error=OSError(errno.EIO, "I/O error"))
    with pytest.raises(UserError):
        write_pack(source, out, 0, SHARD_HOURS)
    monkeypatch.undo()
    for number in range(12):
        soundfile.write(source.folder / f"{number:02d}.flac", np.zeros(1600), 16000)
    write_pack(source._replace(fingerprint="another"), out, 0, SHARD_HOURS)
    assert_whole(out, source)


def fail_after(monkeypatch, writes: int, error: OSError) -> None:
    calls = []
    write = packed_writer.os.fsync

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > writes:
            raise error
        write(descriptor)

    monkeypatch.setattr(packed_writer.os, "fsync", fsync)


def test_a_disk_that_fills_up_loses_nothing(source, out, monkeypatch):
    fail_after(monkeypatch, writes=5, error=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(UserError, match=r"No space left on device\): make room.*keeps what is"):
        write_pack(source, out, 0, SHARD_HOURS)
    monkeypatch.undo()
    partial = out.with_name("corpus.packed.partial")
    assert 1 <= len(list(partial.glob("0*.json"))) < 6
    write_pack(source, out, 0, SHARD_HOURS)
    assert_whole(out, source)


def test_a_disk_that_is_too_small_is_refused_at_once(source, out):
    rows = [{**row, "duration": 1e12} for row in source.rows]
    with pytest.raises(UserError, match=r"needs 384000000\.0 GB and the disk has .* GB: make room"):
        write_pack(source._replace(rows=rows), out, 0)


def test_a_finished_pack_stays_until_the_new_one_is_whole(source, out, monkeypatch):
    write_pack(source, out, 0, SHARD_HOURS)
    fail_after(monkeypatch, writes=3, error=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(UserError):
        write_pack(source._replace(fingerprint="another"), out, 0, SHARD_HOURS)
    monkeypatch.undo()
    verify_pack(out)
    assert load_pack(out).fingerprint == "fingerprint"


def test_recordings_that_cannot_be_read_are_left_out_and_named(source, out):
    os.truncate(source.folder / "03.flac", 400)
    (source.folder / "07.flac").write_bytes(b"noise")
    write_pack(source, out, 0, SHARD_HOURS)
    pack = load_pack(out)
    assert len(pack.rows) == 10
    assert pack.warnings == ["2 recordings could not be read and are left out (03.flac, 07.flac)"]
    kept = [row for row in source.rows if row["path"] not in ("03.flac", "07.flac")]
    assert_whole(out, source._replace(rows=kept))


def test_nothing_readable_makes_no_pack(source, out):
    for row in source.rows:
        (source.folder / row["path"]).write_bytes(b"noise")
    with pytest.raises(UserError, match="none of 12 recordings can be read"):
        write_pack(source, out, 0, SHARD_HOURS)
    assert not out.exists()


def test_a_place_that_cannot_be_written_is_named(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"corpus\.packed cannot be written .*another --out"):
        write_pack(source, tmp_path / "file" / "corpus.packed", 0)


def test_the_header_is_json_that_anyone_reads(source, out):
    write_pack(source, out, 0, SHARD_HOURS)
    header = json.loads((out / "pack.json").read_text())
    assert (header["format"], header["sample_rate"], header["shards"]) == (1, 16000, 6)
    assert (header["utterances"], header["exact"]) == (12, True)
