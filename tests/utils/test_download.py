from __future__ import annotations

import hashlib
import io
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from src.utils.download import DownloadError, download, extract_tar
from src.utils.errors import UserError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(file_server):
    file_server.files["/file"] = CONTENT
    return file_server


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fetch(server, path, md5=MD5, **options) -> None:
    download(f"{server.url}/file", path, md5, wait=0.01, **options)


def test_whole_file(server, tmp_path):
    fetch(server, tmp_path / "new" / "file")
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["file"]
    fetch(server, tmp_path / "new" / "file")
    assert server.starts == [0]


def test_a_line_that_breaks_off_is_resumed_where_it_broke(server, tmp_path):
    server.break_after = [100_000, 200_000, 0, 0, 0, 300_000]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.starts == [0, 100_000, *[300_000] * 4, 600_000]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    server.break_after = [100_000]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.starts == [0, 100_000]


def test_a_killed_process_is_resumed(server, tmp_path):
    server.pause = 0.02
    code = "import sys; from pathlib import Path; from src.utils.download import download; "
    code += "download(sys.argv[1], Path(sys.argv[2]), sys.argv[3])"
    command = [sys.executable, "-c", code, f"{server.url}/file", str(tmp_path / "file"), MD5]
    server.files["/file"] = CONTENT * 16
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    part = tmp_path / "file.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    got = part.stat().st_size
    assert 0 < got < len(CONTENT) * 16
    assert not (tmp_path / "file").exists()

    server.pause = 0.0
    fetch(server, tmp_path / "file", hashlib.md5(CONTENT * 16).hexdigest())
    assert server.starts == [0, got]
    assert (tmp_path / "file").read_bytes() == CONTENT * 16


def test_a_part_that_is_whole_already_is_only_checked(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    fetch(server, tmp_path / "file")
    assert server.starts == [len(CONTENT)]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    with pytest.raises(UserError, match=f"damaged.*{MD5}.*run again"):
        fetch(server, tmp_path / "file", md5="0" * 32)
    assert names(tmp_path) == []
    (tmp_path / "file.part").write_bytes(b"of another file")
    with pytest.raises(UserError, match="damaged"):
        fetch(server, tmp_path / "file")
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_without_a_checksum_a_file_of_the_right_size_will_do(server, tmp_path):
    server.break_after = [100_000]
    fetch(server, tmp_path / "file", md5=None)
    assert (tmp_path / "file").read_bytes() == CONTENT
    (tmp_path / "file").write_bytes(b"mine")
    fetch(server, tmp_path / "file", md5=None)
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_damaged_file_of_the_user_is_not_removed(server, tmp_path):
    (tmp_path / "file").write_bytes(b"half")
    with pytest.raises(UserError, match="remove it to download it again"):
        fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"half"
    assert server.starts == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429, 500]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_gives_up_after_as_many_attempts_in_vain(server, tmp_path):
    server.statuses = [503] * 9
    with pytest.raises(DownloadError, match="503"):
        fetch(server, tmp_path / "file", attempts=3)
    assert len(server.starts) == 3


def test_what_is_not_there_is_not_asked_for_again(server, tmp_path):
    with pytest.raises(DownloadError, match="404"):
        download(f"{server.url}/absent", tmp_path / "absent", MD5, wait=0.01)
    assert len(server.starts) == 1


def test_no_network_is_the_users_error(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match="refused"):
            download(url, tmp_path / "file", MD5, attempts=2, wait=0.01)


def test_a_full_disk_is_not_tried_again(server, tmp_path):
    (tmp_path / "file.part").symlink_to("/dev/full")  # where every write fails so
    with pytest.raises(UserError, match="No space left"):
        fetch(server, tmp_path / "file")
    assert server.starts == [0]


def make_tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            content = b"content" if member.isfile() else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_files_and_folders_are_unpacked(tmp_path):
    archive = make_tar(
        tmp_path / "a.tar.gz", member("top", tarfile.DIRTYPE), member("top/x"), member("y/z/w")
    )
    extract_tar(archive, tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")}
    assert found == {"top", "top/x", "y", "y/z", "y/z/w"}
    assert (tmp_path / "out/y/z/w").read_bytes() == b"content"


@pytest.mark.parametrize(
    "unsafe",
    [
        member("../escaped"),
        member("a/../../escaped"),
        member("/tmp/escaped-from-the-archive"),
        member("link", tarfile.SYMTYPE, ".."),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "../outside"),
        member("pipe", tarfile.FIFOTYPE),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_nothing_escapes(tmp_path, unsafe):
    (tmp_path / "outside").write_text("mine")
    archive = make_tar(tmp_path / "a.tar.gz", member("safe"), unsafe, member("link/escaped"))
    with pytest.raises(UserError, match="unsafe member"):
        extract_tar(archive, tmp_path / "out")
    assert names(tmp_path) == ["a.tar.gz", "out", "outside"]
    assert names(tmp_path / "out") == ["safe"]
    assert (tmp_path / "outside").read_text() == "mine"
    assert not Path("/tmp/escaped-from-the-archive").exists()


def test_an_archive_that_is_none_is_the_users_error(tmp_path):
    archive = make_tar(tmp_path / "a.tar.gz", *[member(str(n)) for n in range(500)])
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be unpacked"):
        extract_tar(archive, tmp_path / "out")
    archive.write_text("words")
    with pytest.raises(UserError, match="cannot be unpacked"):
        extract_tar(archive, tmp_path / "out")
