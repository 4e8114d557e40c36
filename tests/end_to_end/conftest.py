from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def run_command():
    """run_command("train.py", "-cn=demo", ...) in a real process, as a person would."""

    def run(script: str, *arguments: object, timeout: float = 240) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, script, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "HYDRA_FULL_ERROR": "0"},
        )

    return run


@pytest.fixture(scope="session")
def trained(run_command, tmp_path_factory):
    """A recogniser that knows eight synthetic sentences by heart: its folder and its output."""
    save_dir = tmp_path_factory.mktemp("saved")
    done = run_command("train.py", "-cn=onebatchtest", f"save_dir={save_dir}")
    assert done.returncode == 0, done.stderr
    return save_dir / "onebatchtest", done


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """The eight sentences of the one-batch test as files, the way anyone's recordings are."""
    folder = tmp_path_factory.mktemp("recordings")
    subprocess.run(
        [
            *(sys.executable, "scripts/make_synthetic_corpus.py", folder),
            *("--split", "train", "--size", "8"),
        ],
        cwd=ROOT,
        check=True,
    )
    return folder
