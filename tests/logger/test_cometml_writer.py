"""Comet for real, in processes of its own: offline, with its server away, and failing.

Nothing here reaches comet.com: an address on this machine takes its place.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import socket
import subprocess
import sys
import time
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from src.logger.cometml_writer import CometMLWriter
from src.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
import numpy as np, torch
from src.logger.cometml_writer import CometMLWriter

run_dir, lives = sys.argv[1:]
for life in range(int(lives)):
    writer = CometMLWriter(run_dir, "project", "run", {"model": {"layers": 4}})
    writer.set_step(10 + life)
    writer.add_scalars({"loss": torch.tensor(1.25)})
    writer.set_step(20 + life, "dev-clean")
    writer.add_scalar("wer/argmax", 0.5)
    writer.add_image("spectrogram", np.full((4, 6, 3), 7, np.uint8))
    writer.add_audio("sample", torch.sin(torch.arange(800) / 20) * 0.5, 8000)
    writer.add_table("predictions", ["reference", "prediction"], [["a, b", "c"]])
    writer.flush()
    writer.close()
print("trained to the end")
"""


def run(run_dir: Path, lives: int = 1, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COMET_")}
    home = {"HOME": str(run_dir)}  # where nobody's .comet.config is
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run_dir), str(lives)],
        cwd=ROOT,
        env={**clean, **home, **environment},
        stdin=subprocess.DEVNULL,  # a prompt would fail
        capture_output=True,
        text=True,
        timeout=60,
    )


def read_archives(run_dir: Path) -> Iterator[tuple[dict, list[dict], zipfile.ZipFile]]:
    for path in sorted((run_dir / "comet").glob("*.zip"), key=lambda path: path.stat().st_mtime):
        archive = zipfile.ZipFile(path)
        messages = [json.loads(line) for line in archive.read("messages.json").splitlines()]
        yield json.loads(archive.read("experiment.json")), messages, archive


def metrics(messages: list[dict]) -> list[tuple[str, float, int]]:
    payloads = [message["payload"] for message in messages if message["type"] == "metric_msg"]
    values = [payload["metric"] for payload in payloads]
    return [
        (v["metricName"], v["metricValue"], v["step"]) for v in values if "/" in v["metricName"]
    ]


def uploads(messages: list[dict], archive: zipfile.ZipFile) -> dict[str, bytes]:
    found = {}
    for payload in (message["payload"] for message in messages):
        if "file_path" in payload:
            named = payload["additional_params"]
            found[named.get("figName") or named["fileName"]] = archive.read(payload["file_path"])
    return found


def test_offline_archive_holds_everything_and_a_resume_is_the_same_experiment(
    tmp_path: Path,
) -> None:
    process = run(tmp_path, lives=2)
    assert process.returncode == 0, process.stderr
    assert process.stdout == "trained to the end\n"
    assert process.stderr == ""

    (first, messages, archive), (second, later, _) = read_archives(tmp_path)
    assert metrics(messages) == [("train/loss", 1.25, 10), ("dev-clean/wer/argmax", 0.5, 20)]
    assert metrics(later) == [("train/loss", 1.25, 11), ("dev-clean/wer/argmax", 0.5, 21)]
    assert first["project_name"] == "project"
    assert first["offline_id"] == second["offline_id"]

    text = json.dumps(messages)
    assert '"paramName": "model|layers", "paramValue": 4' in text
    assert '"key": "Name", "message_id": 2, "value": "run"' in text
    files = uploads(messages, archive)
    audio, rate = soundfile.read(io.BytesIO(files["dev-clean_sample.wav"]))
    assert rate == 8000
    np.testing.assert_allclose(audio, np.sin(np.arange(800) / 20) * 0.5, atol=1e-4)
    assert files["dev-clean/spectrogram"].startswith(b"\x89PNG")
    table = files["dev-clean_predictions_20.csv"].decode()
    assert list(csv.reader(io.StringIO(table))) == [["reference", "prediction"], ["a, b", "c"]]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "server", ["closed_port", pytest.param("silent_port", marks=pytest.mark.slow)]
)
def test_server_away_means_an_archive_soon(
    tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    url = f"http://127.0.0.1:{request.getfixturevalue(server)}/clientlib/"
    started = time.monotonic()
    process = run(tmp_path, COMET_API_KEY="x" * 25, COMET_URL_OVERRIDE=url)
    assert process.returncode == 0, process.stderr
    assert process.stdout == "trained to the end\n"
    assert process.stderr.count("Comet cannot be reached") == 1
    assert "Traceback" not in process.stderr
    assert "x" * 25 not in process.stderr
    [(_, messages, _)] = read_archives(tmp_path)
    assert ("train/loss", 1.25, 10) in metrics(messages)
    assert time.monotonic() - started < 30  # Comet alone retries for more than half a minute


class FailingExperiment:
    """Every call raises, as when the disk is full or the server sends nonsense."""

    alive = True

    def __getattr__(self, name: str) -> Any:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise ConnectionError(f"{name} went wrong")

        return fail


def replace_comet(monkeypatch: pytest.MonkeyPatch, start: Any) -> None:
    fake = types.SimpleNamespace(start=start, ExperimentConfig=lambda **settings: None)
    monkeypatch.setitem(sys.modules, "comet_ml", fake)
    monkeypatch.setattr("src.logger.cometml_writer._COMET_SETTINGS", {})


def log_everything(writer: CometMLWriter) -> None:
    writer.set_step(1)
    writer.add_scalar("loss", 1.0)
    writer.add_scalars({"loss": 1.0})
    writer.add_image("image", np.zeros((2, 2, 3), np.uint8))
    writer.add_audio("audio", torch.zeros(10), 8000)
    writer.add_table("table", ["a"], [["b"]])
    writer.flush()
    writer.close()


def refuse(**settings: Any) -> None:
    raise OSError("no space left on device")


@pytest.mark.parametrize(
    ("start", "reason"),
    [(lambda **settings: FailingExperiment(), "log_parameters went wrong"), (refuse, "no space")],
)
def test_training_survives_whatever_comet_raises(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    start: Any,
    reason: str,
) -> None:
    replace_comet(monkeypatch, start)
    log_everything(CometMLWriter(tmp_path, "project", mode="offline"))
    [record] = caplog.records  # one warning, however many calls failed
    assert record.levelno == logging.WARNING
    assert reason in record.message


def test_bad_settings_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"writer\.mode=perhaps"):
        CometMLWriter(tmp_path, "project", mode="perhaps")
    monkeypatch.setattr("src.logger.cometml_writer._COMET_SETTINGS", {})
    monkeypatch.setitem(sys.modules, "comet_ml", None)
    with pytest.raises(UserError, match="pip install comet-ml"):
        CometMLWriter(tmp_path, "project")


def test_online_without_a_key_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_comet(monkeypatch, refuse)
    monkeypatch.setattr("src.logger.cometml_writer._api_key", lambda: None)
    with pytest.raises(UserError, match="needs a Comet API key"):
        CometMLWriter(tmp_path, "project", mode="online")
