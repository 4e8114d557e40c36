"""Which code made a run: commit, branch and local changes, saved into the run folder.

`git.txt` is for reading; `git apply git.patch` on that commit gives the code back (files that
git does not track are listed in `git.txt` but are not in the patch).
"""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]


def save_git_snapshot(run_dir: Path | str, repository: Path | str = REPOSITORY) -> None:
    """Write `git.txt`, and `git.patch` where the working tree differs from the commit.

    Never raises for git's sake: without git, a repository or a commit, `git.txt` says so.
    """
    run_dir, repository = Path(run_dir), Path(repository)
    run_dir.mkdir(parents=True, exist_ok=True)
    patch_file = run_dir / "git.patch"
    patch_file.unlink(missing_ok=True)  # of an earlier life of this run
    try:
        commit = _git(repository, "rev-parse", "HEAD").decode().strip()
        branch = _git(repository, "rev-parse", "--abbrev-ref", "HEAD").decode().strip()
        status = _git(repository, "status", "--porcelain").decode("utf-8", "replace").rstrip()
        patch = _git(repository, "diff", "HEAD", "--binary")
    except (OSError, subprocess.SubprocessError) as error:
        reason = _reason(error)
        logger.info("No git snapshot of the code: %s", reason)
        (run_dir / "git.txt").write_text(f"no git snapshot: {reason}\n", encoding="utf-8")
        return
    changes = status or "none"
    (run_dir / "git.txt").write_text(
        f"commit {commit}\nbranch {branch}\nchanged files:\n{changes}\n", encoding="utf-8"
    )
    if patch:
        patch_file.write_bytes(patch)


def _git(repository: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None)
    return said.decode("utf-8", "replace").strip().partition("\n")[0] if said else str(error)
