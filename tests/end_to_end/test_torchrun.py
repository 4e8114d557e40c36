"""`torchrun` for real: stopped as Slurm does it, gone on with, and transcribing."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainer.ranks import in_processes

ROOT = Path(__file__).parents[2]


def torchrun(*arguments: object) -> subprocess.Popen:
    launcher = (sys.executable, "-m", "torch.distributed.run")
    return subprocess.Popen(
        [*launcher, "--standalone", "--nproc-per-node=2", *map(str, arguments), "device=cpu"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_script(*arguments: object) -> None:
    """In a process that has torchrun's environment, and has imported everything."""
    os.chdir(ROOT)
    sys.argv = list(map(str, arguments))
    runpy.run_path(sys.argv[0], run_name="__main__")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow  # tests/trainer/test_distributed.py has the same without torchrun
@pytest.mark.timeout(180)
def test_two_processes_stop_on_a_signal_and_go_on(tmp_path):
    command = (
        *("train.py", "-cn=onebatchtest", f"save_dir={tmp_path}", "trainer.resume=auto"),
        *("model.d_model=16", "model.n_layers=1", "model.n_heads=2", "transforms=spec"),
        *("model.subsampling_channels=4", "trainer.epochs=1", "trainer.epoch_len=60"),
        *("trainer.log_every=5", "trainer.target=null"),
    )
    run_dir = tmp_path / "onebatchtest"
    first = torchrun(*command)
    while not lines(run_dir / "metrics.jsonl"):
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate()
    assert first.returncode != 0
    assert said.count("goes on from there") == 1, "one process speaks"
    assert len(lines(run_dir / "metrics.jsonl")) < 12, "it was stopped before its end"

    in_processes(2, run_script, *command, "device=cpu")
    assert (run_dir / "log.txt").read_text().count("resumed from") == 1
    rows = [row["step"] for row in lines(run_dir / "metrics.jsonl") if row["mode"] == "train"]
    assert rows == list(range(5, 61, 5)), "each step once, none lost"


@pytest.mark.slow
def test_two_processes_transcribe_what_one_does(trained, recordings, run_command, tmp_path):
    command = (
        *("inference.py", f"datasets.test.audio_dir={recordings / 'audio'}"),
        *(f"inferencer.from_pretrained={trained[0]}", "inferencer.max_batch_seconds=8"),
    )
    done = run_command(*command, f"inferencer.save_dir={tmp_path / 'one'}", "device=cpu")
    assert done.returncode == 0, done.stderr
    two = torchrun(*command, f"inferencer.save_dir={tmp_path / 'two'}")
    _, said = two.communicate()
    assert two.returncode == 0, said
    one, two = (
        {
            path.relative_to(folder): path.read_bytes()
            for path in (folder / "test").rglob("*")
            if path.is_file()
        }
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert len(one) == 8 + 3, "texts, transcripts.jsonl, call.json, report.html"
    assert two == one
