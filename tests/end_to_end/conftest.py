from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def run_command():
    """run_command("train.py", "-cn=demo", ...) in a real process, as a person would."""

    def run(script: str, *arguments: object, timeout: float = 600) -> CompletedProcess:
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


@pytest.fixture
def run_here(monkeypatch, capfd):
    """The same in this process, which saves the seconds of a new one's imports."""

    def run(script: str, *arguments: object) -> CompletedProcess:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr("sys.argv", [script, *map(str, arguments)])
        capfd.readouterr()
        try:
            runpy.run_path(script, run_name="__main__")
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        return CompletedProcess(sys.argv, code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def trained(run_command, tmp_path_factory, worker_id):
    """A recogniser that knows eight synthetic sentences by heart: its folder and its output.

    Trained once, whatever the number of pytest's processes: the others wait for the first.
    """
    common = tmp_path_factory.getbasetemp()
    if worker_id != "master":  # a process of several has its own folder in the common one
        common = common.parent
    run_dir, output = common / "onebatchtest", common / "onebatchtest.json"
    with FileLock(common / "onebatchtest.lock"):
        if not output.exists():
            done = run_command("train.py", "-cn=onebatchtest", f"save_dir={common}")
            assert done.returncode == 0, done.stderr
            output.write_text(json.dumps({"stdout": done.stdout, "stderr": done.stderr}))
    return run_dir, CompletedProcess("train.py", 0, **json.loads(output.read_text()))


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
