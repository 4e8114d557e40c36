from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import threading
from pathlib import Path

import pytest

from src.datasets import librispeech_download
from src.datasets.librispeech import LibriSpeechDataset
from src.datasets.librispeech_download import OFFICIAL_PARTS, OfficialPart
from src.utils.errors import UserError
from tests.file_server import FileServer

from .conftest import CHAPTERS, write_part

PART = "dev-other"


@pytest.fixture
def archive(tmp_path) -> bytes:
    """`CHAPTERS` packed as the official archives are."""
    write_part(tmp_path / "source" / "LibriSpeech" / PART)
    (tmp_path / "source" / "LibriSpeech" / "README.TXT").write_text("read me")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(tmp_path / "source" / "LibriSpeech", "LibriSpeech")
    shutil.rmtree(tmp_path / "source")
    return packed.getvalue()


@pytest.fixture
def openslr(file_server: FileServer, archive, monkeypatch) -> FileServer:
    """A stand-in for openslr.org that has `PART`."""
    publish(file_server, archive, monkeypatch)
    return file_server


def publish(server: FileServer, archive: bytes, monkeypatch) -> None:
    server.files[f"/12/{PART}.tar.gz"] = archive
    official = OfficialPart(12, hashlib.md5(archive).hexdigest())
    monkeypatch.setitem(OFFICIAL_PARTS, PART, official)


def load(openslr: FileServer, root) -> LibriSpeechDataset:
    return LibriSpeechDataset(PART, str(root), base_url=openslr.url)


def visible(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.name[0] != "."}


def test_a_missing_part_is_downloaded_once_and_then_used_offline(openslr, tmp_path):
    root = tmp_path / "data" / "LibriSpeech"
    openslr.break_after = [5000]
    dataset = load(openslr, root)
    expected = [text.lower() for chapter in CHAPTERS.values() for *_, text in chapter]
    assert dataset.texts == expected
    assert openslr.starts == [0, 5000]
    assert visible(root) == {PART, f"{PART}.index.jsonl"}

    openslr.files.clear()
    assert load(openslr, root).texts == expected
    assert len(openslr.starts) == 2


def test_an_archive_put_there_by_hand_is_used_and_kept(openslr, archive, tmp_path):
    (tmp_path / f"{PART}.tar.gz").write_bytes(archive)
    assert len(load(openslr, tmp_path)) == 5
    assert openslr.starts == []
    assert (tmp_path / f"{PART}.tar.gz").exists()


def test_unpacking_that_was_interrupted_does_not_look_complete(openslr, tmp_path, monkeypatch):
    real = librispeech_download.extract_tar

    def interrupted(archive, folder):
        real(archive, folder)
        next(folder.rglob("*.flac")).unlink()
        (folder / "LibriSpeech" / PART / "leftover.trans.txt").write_text("1-1-1 LEFT OVER")
        raise KeyboardInterrupt

    monkeypatch.setattr(librispeech_download, "extract_tar", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(openslr, tmp_path)
    assert not (tmp_path / PART).exists()

    monkeypatch.setattr(librispeech_download, "extract_tar", real)
    assert len(load(openslr, tmp_path)) == 5
    assert len(openslr.starts) == 1  # the archive itself was complete
    assert not (tmp_path / PART / "leftover.trans.txt").exists()
    assert not list(tmp_path.glob(".*unpacking"))


def test_processes_that_want_the_same_part_fetch_it_once(openslr, tmp_path):
    openslr.pause = 0.05
    sizes: list[int] = []
    threads = [
        threading.Thread(target=lambda: sizes.append(len(load(openslr, tmp_path))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [5, 5, 5]
    assert openslr.starts == [0]


def test_a_damaged_archive_is_not_unpacked(openslr, archive, tmp_path):
    openslr.files[f"/12/{PART}.tar.gz"] = archive[:-1] + b"?"
    with pytest.raises(UserError, match="damaged"):
        load(openslr, tmp_path)
    assert visible(tmp_path) == set()


def test_an_evil_archive_leaves_no_part(file_server, tmp_path, monkeypatch):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo(f"LibriSpeech/{PART}/1.trans.txt"), io.BytesIO())
        tar.addfile(tarfile.TarInfo("../../escaped"), io.BytesIO())
    publish(file_server, packed.getvalue(), monkeypatch)
    root = tmp_path / "a" / "b"
    with pytest.raises(UserError, match="unsafe member"):
        load(file_server, root)
    assert not (root / PART).exists()
    assert not list(tmp_path.rglob("escaped"))


def test_an_archive_of_something_else_is_refused(file_server, tmp_path, monkeypatch):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("LibriSpeech/other/1.trans.txt"), io.BytesIO())
    publish(file_server, packed.getvalue(), monkeypatch)
    with pytest.raises(UserError, match=f"no folder LibriSpeech/{PART}"):
        load(file_server, tmp_path)
    assert not list(tmp_path.glob(".*unpacking"))


def test_without_network_the_remedy_is_named(openslr, tmp_path):
    openslr.files.clear()
    with pytest.raises(UserError) as caught:
        load(openslr, tmp_path)
    for part in (f"{openslr.url}/12/{PART}.tar.gz", str(tmp_path), "data_dir", PART):
        assert part in str(caught.value)


def test_a_root_that_cannot_be_written_is_the_users_error(openslr, tmp_path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(UserError, match="set data_dir"):
            load(openslr, tmp_path)
    finally:
        tmp_path.chmod(0o755)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="set data_dir"):
        load(openslr, tmp_path / "file" / "LibriSpeech")
    assert openslr.starts == []


def test_all_official_parts_are_known():
    assert {part for part, official in OFFICIAL_PARTS.items() if official.resource == 12} == {
        f"{split}-{kind}" for split in ("dev", "test") for kind in ("clean", "other")
    } | {"train-clean-100", "train-clean-360", "train-other-500"}
    assert len({official.md5 for official in OFFICIAL_PARTS.values()}) == len(OFFICIAL_PARTS)
