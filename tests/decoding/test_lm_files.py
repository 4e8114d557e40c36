import gzip
import os
import random
import runpy
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from src.decoding.arpa import read_arpa
from src.decoding.lm_files import check_lm, find_lm
from src.utils.download import download
from src.utils.errors import UserError

NAME = "3-gram.pruned.1e-7"
SCRIPT = str(Path(__file__).parents[2] / "scripts" / "download_lm.py")


def published() -> bytes:
    """An ARPA in capitals, as OpenSLR has them, that packs to more than 100 kB."""
    draw = random.Random(0)
    words = [f"IT'S{draw.getrandbits(64):X}" for _ in range(8000)]
    lines = [f"-{draw.uniform(1, 7):.6f}\t{word}" for word in ["<UNK>", "<s>", "</s>", *words]]
    text = "\n".join(["\\data\\", f"ngram 1={len(lines)}", "", "\\1-grams:", *lines])
    return (text + "\n\n\\end\\\n").encode()


ARPA = published()
ARCHIVE = gzip.compress(ARPA, mtime=0)


@pytest.fixture
def openslr(file_server, monkeypatch):
    """A stand-in for openslr.org that has one model; waits before new attempts are short."""
    file_server.files[f"/{NAME}.arpa.gz"] = ARCHIVE
    monkeypatch.setattr(
        "src.decoding.lm_files.download", lambda url, path: download(url, path, wait=0.01)
    )
    return file_server


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_an_official_model_comes_in_lower_case_and_stays(openslr, tmp_path):
    path = find_lm(NAME, tmp_path, openslr.url)
    assert path == tmp_path / "lm" / f"{NAME}.arpa"
    assert path.read_bytes() == ARPA.lower()
    assert read_arpa(path).words[:3] == ["<unk>", "<s>", "</s>"]
    assert files(path.parent) == {f"{NAME}.arpa", f"{NAME}.arpa.sha256"}
    assert (
        subprocess.run(["sha256sum", "-c", f"{NAME}.arpa.sha256"], cwd=path.parent).returncode == 0
    )
    assert find_lm(NAME, str(tmp_path), "http://nowhere.invalid") == path
    assert openslr.starts == [0]


def test_a_line_that_breaks_is_resumed(openslr, tmp_path):
    openslr.break_after = [30_000, 40_000]
    assert find_lm(NAME, tmp_path, openslr.url).read_bytes() == ARPA.lower()
    assert openslr.starts == [0, 30_000, 70_000]


def test_an_archive_put_there_by_hand_is_used_and_left(tmp_path):
    (tmp_path / "lm").mkdir()
    archive = tmp_path / "lm" / f"{NAME}.arpa.gz"
    archive.write_bytes(ARCHIVE)
    path = find_lm(NAME, tmp_path, "http://nowhere.invalid")
    assert path.read_bytes() == ARPA.lower()
    assert archive.read_bytes() == ARCHIVE


def damaged(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :]


@pytest.mark.parametrize(
    "archive",
    [
        damaged(ARCHIVE),
        ARCHIVE[: len(ARCHIVE) // 2],
        b"<html>not found</html>",
        gzip.compress(ARPA[:50_000]),
        gzip.compress(b""),
    ],
    ids=["damaged", "cut", "no archive", "of a cut file", "of nothing"],
)
def test_what_arrives_damaged_is_not_kept(openslr, tmp_path, archive):
    openslr.files[f"/{NAME}.arpa.gz"] = archive
    with pytest.raises(UserError, match=r"arpa\.gz is damaged .*it was removed, run again"):
        find_lm(NAME, tmp_path, openslr.url)
    assert files(tmp_path / "lm") == set()
    openslr.files[f"/{NAME}.arpa.gz"] = ARCHIVE
    assert find_lm(NAME, tmp_path, openslr.url).read_bytes() == ARPA.lower()


def test_a_damaged_archive_of_the_user_is_not_removed(openslr, tmp_path):
    (tmp_path / "lm").mkdir()
    archive = tmp_path / "lm" / f"{NAME}.arpa.gz"
    archive.write_bytes(damaged(ARCHIVE))
    with pytest.raises(UserError, match=r"is damaged .*: remove it to download it afresh"):
        find_lm(NAME, tmp_path, openslr.url)
    assert files(tmp_path / "lm") == {archive.name}


def test_a_model_that_changed_since_is_noticed(openslr, tmp_path):
    path = find_lm(NAME, tmp_path, openslr.url)
    path.touch()  # copied, say
    assert find_lm(NAME, tmp_path, openslr.url) == path
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"is not what .*\.sha256 says: remove both"):
        find_lm(NAME, tmp_path, openslr.url)

    os.utime(path, (0, 0))  # so that only a whole reading shows it
    find_lm(NAME, tmp_path, openslr.url)
    with pytest.raises(UserError, match="is not what"):
        check_lm(path)


def test_a_model_of_ones_own_under_the_official_name(tmp_path):
    (tmp_path / "lm").mkdir()
    path = tmp_path / "lm" / f"{NAME}.arpa"
    path.write_bytes(ARPA.lower())
    assert find_lm(NAME, tmp_path) == path
    check_lm(path)


def test_not_there_or_no_network_says_what_to_do(openslr, tmp_path):
    remedy = rf"Put 4-gram\.arpa\.gz into {tmp_path}/lm, or train .*train_lm\.py .* lm=PATH\."
    with pytest.raises(UserError, match=rf"404.* {remedy}") as caught:
        find_lm("4-gram", tmp_path, openslr.url)
    assert "\n" not in str(caught.value)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match=rf"refused.* {remedy}"):
            find_lm("4-gram", tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written.*set data_dir"):
        find_lm(NAME, tmp_path / "file")


def test_processes_that_want_the_same_model_fetch_it_once(openslr, tmp_path):
    openslr.pause = 0.05
    threads = [
        threading.Thread(target=find_lm, args=(NAME, tmp_path, openslr.url)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert openslr.starts == [0]
    assert (tmp_path / "lm" / f"{NAME}.arpa").read_bytes() == ARPA.lower()


def test_a_path_is_that_file(tmp_path, monkeypatch):
    path = tmp_path / "mine.arpa.gz"
    path.write_bytes(gzip.compress(ARPA.lower()))
    assert find_lm(path) == path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_lm("~/mine.arpa.gz") == path
    path.write_bytes(gzip.compress(ARPA.lower())[:50])  # its reader will complain
    assert find_lm(path) == path
    with pytest.raises(UserError, match=r"lm=5-gram is neither a file nor .*3-gram\.pruned\.1e-7"):
        find_lm("5-gram")


def test_words_in_capitals_are_refused(tmp_path):
    for name, content in {"official.arpa.gz": ARCHIVE, "official.arpa": ARPA}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=r"words in capitals.*without its path"):
            find_lm(tmp_path / name)


def test_the_script(openslr, tmp_path, monkeypatch, capsys):
    arguments = [NAME, "--data-dir", str(tmp_path), "--base-url", openslr.url]
    monkeypatch.setattr(sys, "argv", ["download_lm.py", *arguments])
    path = tmp_path / "lm" / f"{NAME}.arpa"
    runpy.run_path(SCRIPT, run_name="__main__")
    assert capsys.readouterr().out == f"{path}: {len(ARPA) / 2**20:.1f} MiB\n"

    path.write_bytes(damaged(path.read_bytes()))
    os.utime(path, (0, 0))
    with pytest.raises(SystemExit) as left:
        runpy.run_path(SCRIPT, run_name="__main__")
    assert left.value.code == 2
    assert f"error: {path} is not what" in capsys.readouterr().err
