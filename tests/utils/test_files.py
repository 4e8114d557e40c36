from __future__ import annotations

import os

from src.utils.files import fingerprint, is_writable, scan_files


def test_all_files_below_are_found_but_hidden_ones(tmp_path):
    for name in ("b.txt", "a/x.txt", "a/b/y.txt", ".hidden", "a/._x.txt", ".git/z.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = scan_files(tmp_path)
    assert list(files) == ["a/b/y.txt", "a/x.txt", "b.txt"]
    assert files["a/x.txt"].st_size == len("a/x.txt")


def test_links_are_followed_and_a_circle_ends(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.txt").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "circle").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "broken").symlink_to(tmp_path / "nowhere")
    assert list(scan_files(tmp_path / "data")) == ["linked/x.txt"]


def test_fingerprint_notices_name_size_and_time(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("one")
    os.utime(file, ns=(0, 10**9))
    before = fingerprint(scan_files(tmp_path))
    assert before == fingerprint(scan_files(tmp_path))

    os.utime(file, ns=(0, 2 * 10**9))
    touched = fingerprint(scan_files(tmp_path))
    file.write_text("three")
    os.utime(file, ns=(0, 10**9))
    grown = fingerprint(scan_files(tmp_path))
    file.write_text("one")
    os.utime(file, ns=(0, 10**9))
    assert fingerprint(scan_files(tmp_path)) == before
    file.rename(tmp_path / "b.txt")
    renamed = fingerprint(scan_files(tmp_path))
    assert len({before, touched, grown, renamed}) == 4


def test_read_only_folder_is_so_for_the_superuser_too(tmp_path):
    assert is_writable(tmp_path)
    tmp_path.chmod(0o555)
    try:
        assert not is_writable(tmp_path)
    finally:
        tmp_path.chmod(0o755)
