"""`python app.py` as a process of its own, with a recogniser that has learnt nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file

from src.trainer.config_checks import ONE_WORD_LM
from tests.report.conftest import browser  # noqa: F401 (a fixture)
from tests.trainer.conftest import untrained  # noqa: F401 (a fixture)

ROOT = Path(__file__).parents[2]


class Server:
    """`url`; `folder`, where it keeps what it keeps; `client`, which goes there."""

    def __init__(self, url: str, pid: int, folder: Path) -> None:
        self.url, self.pid, self.folder = url, pid, folder
        self.client = httpx.Client(base_url=url, timeout=120, trust_env=False)

    def about(self) -> dict[str, Any]:
        return self.client.get("/api/model").raise_for_status().json()

    def transcribe(self, content: Any, **query: Any) -> httpx.Response:
        return self.client.post("/api/transcribe", content=content, params=query)

    def memory(self, name: str = "VmRSS") -> float:
        """MiB; `VmHWM` is the most there was."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024

    def wait_until_idle(self, seconds: float = 60) -> None:
        """Until nothing is under way, and nothing is left in the folder."""
        deadline = time.monotonic() + seconds
        while True:
            served = self.about()["served"]
            left = [path for path in self.folder.rglob("*") if path.is_file()]
            if not (served["under_way"] or served["streams"] or left):
                return
            assert time.monotonic() < deadline, (served, left)
            time.sleep(0.05)


@contextlib.contextmanager
def serving(run: Path, folder: Path, *overrides: str) -> Iterator[Server]:
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "app.py", f"from_pretrained={run}", "port=0", "device=cpu", *overrides],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        url = re.search(r"http://\S+", line)
        assert url, process.communicate(timeout=60)[1]
        yield Server(url[0], process.pid, folder)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            complaints = process.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert "Traceback" not in complaints.replace("KeyboardInterrupt", ""), complaints


@pytest.fixture(scope="session")
def lm(tmp_path_factory) -> Path:
    arpa = tmp_path_factory.mktemp("lm") / "one_word.arpa"
    arpa.write_text(ONE_WORD_LM.lstrip())
    return arpa


@pytest.fixture(scope="session")
def run(untrained, tmp_path_factory) -> Path:  # noqa: F811
    """A run folder with figures that are as made up as its texts: words of one or more letters,
    of which it is not so sure that each decoder gave the same."""
    folder = tmp_path_factory.mktemp("saved") / "made_up"
    shutil.copytree(untrained.parents[1], folder)
    weights = load_file(folder / "checkpoints/last/model.safetensors")
    weights["head.weight"] *= 0.2
    weights["head.bias"][-1] += 4  # the space
    save_file(weights, folder / "checkpoints/last/model.safetensors")
    rates = {"wer": 0.123, "wer_interval": [0.111, 0.138], "utterances": 1145, "words": 24128}
    splits = {
        "val": {"argmax": {**rates, "wer": 0.5}, "recordings": {"transcribed": 9}},
        "test": {"argmax": rates, "beam_search_lm": {**rates, "wer": 0.0987}},
    }
    (folder / "summary.json").write_text(json.dumps(splits))
    return folder


@pytest.fixture(scope="session")
def server(run, lm, tmp_path_factory) -> Iterator[Server]:
    limits = ["max_upload_mb=30", "max_seconds=120", "max_requests=24", "max_streams=2"]
    folder = tmp_path_factory.mktemp("server") / "tmp"
    settings = [f"lm={lm}", *limits, "upload_stall_seconds=8", "max_wait_ms=100", "keep_mb=1"]
    with serving(run, folder, *settings) as running:
        yield running


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Path:
    """Three seconds of noise that comes and goes."""
    path = tmp_path_factory.mktemp("recording") / "clip.wav"
    soundfile.write(path, noise(3.0), 16000)
    return path


def noise(seconds: float, seed: int = 0, rate: int = 16000) -> np.ndarray:
    time_ = np.arange(int(seconds * rate)) / rate
    loudness = 0.02 + 0.2 * (np.sin(2 * np.pi * time_) > 0)
    return loudness * np.random.default_rng(seed).standard_normal(len(time_))
