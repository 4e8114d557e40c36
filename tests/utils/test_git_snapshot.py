"""Snapshots of real repositories; the patch is applied with git itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from src.utils.git_snapshot import save_git_snapshot

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-b", "work")
    (folder / "a.py").write_text("one = 1\n")
    (folder / "picture.bin").write_bytes(bytes(range(256)))
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def test_commit_and_patch_give_the_code_back(repository: Path, tmp_path: Path) -> None:
    (repository / "a.py").write_text("one = 2  # é\r\n", newline="")
    (repository / "picture.bin").write_bytes(b"\xff\x00" * 300)
    (repository / "staged.py").write_text("two = 2\n")
    git(repository, "add", "staged.py")
    (repository / "untracked.py").write_text("three = 3\n")
    run_dir = tmp_path / "saved" / "run"

    save_git_snapshot(run_dir, repository)

    clone = tmp_path / "clone"
    git(tmp_path, "clone", str(repository), str(clone))
    text = (run_dir / "git.txt").read_text()
    commit = git(repository, "rev-parse", "HEAD").strip()
    assert f"commit {commit}\nbranch work\n" in text
    git(clone, "checkout", commit)
    git(clone, "apply", str(run_dir / "git.patch"))
    for name in ("a.py", "picture.bin", "staged.py"):
        assert (clone / name).read_bytes() == (repository / name).read_bytes()
        assert name in text
    assert "?? untracked.py" in text


def test_a_clean_tree_has_no_patch_and_an_old_one_goes(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "git.patch").write_text("of an earlier life")
    save_git_snapshot(tmp_path, repository)
    assert "changed files:\nnone" in (tmp_path / "git.txt").read_text()
    assert not (tmp_path / "git.patch").exists()


def test_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    save_git_snapshot(tmp_path, tmp_path / "plain")
    assert "not a git repository" in (tmp_path / "git.txt").read_text()


def test_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init")
    save_git_snapshot(tmp_path, tmp_path)
    assert (tmp_path / "git.txt").read_text().startswith("no git snapshot: ")


def test_without_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    save_git_snapshot(tmp_path, repository)
    assert "No such file" in (tmp_path / "git.txt").read_text()
