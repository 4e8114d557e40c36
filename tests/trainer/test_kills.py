"""Real trainings, killed and interrupted at random moments, against one that was left alone."""

from __future__ import annotations

import csv
import itertools
import os
import random
import re
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from src.trainer.checkpoint import find_resumable
from src.utils.interruption import EXIT_INTERRUPTED
from tests.trainer.training_process import start_training

CLOCK = {"time", "audio_hours_per_second", "data_wait_share"}


def metric_rows(run_dir: Path) -> list[dict[str, str]]:
    """All but what the clock decides."""
    with (run_dir / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


def assert_same_run(run_dir: Path, other: Path) -> None:
    assert metric_rows(run_dir) == metric_rows(other)
    for name in ("last", "best"):
        path = f"checkpoints/{name}/model.safetensors"
        weights, others = load_file(run_dir / path), load_file(other / path)
        assert weights.keys() == others.keys()
        for tensor in weights:
            assert torch.equal(weights[tensor], others[tensor]), f"{name}: {tensor}"
    state, others = (
        torch.load(folder / "checkpoints/last/training_state.pt", weights_only=True)
        for folder in (run_dir, other)
    )
    assert_equal(state, others)


def assert_equal(one: Any, other: Any, where: str = "state") -> None:
    """Nested dicts and lists of tensors and plain values."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for number, (left, right) in enumerate(zip(one, other)):
            assert_equal(left, right, f"{where}.{number}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


def finish(arguments: list[str], log: Path) -> float:
    """Seconds that the training took."""
    started = time.perf_counter()
    process = start_training(arguments, log)
    process.join(120)
    assert process.exitcode == 0, log.read_text()
    return time.perf_counter() - started


@pytest.fixture(scope="module")
def arguments(tiny_overrides):
    """arguments(folder, run_name, ...): a training that logs, evaluates and saves all the time."""

    def command_line(folder: Path, run_name: str, *more: str) -> list[str]:
        overrides = tiny_overrides(
            *(folder, run_name),
            *("trainer.epochs=2", "trainer.epoch_len=40", "trainer.log_every=5"),
            *("trainer.save_every=3", "trainer.keep=2", "trainer.eval_every=20"),
            *("overwrite=false", "trainer.resume=auto", "trainer.ema_decay=0.9"),
            *("trainer.monitor=loss", "model.d_model=64"),
            *more,
        )
        return ["-cn=onebatchtest", *overrides]

    return command_line


class Whole(NamedTuple):
    run_dir: Path
    seconds: float


@pytest.fixture(scope="module")
def whole(arguments, tmp_path_factory):
    """The run that was left alone."""
    folder = tmp_path_factory.mktemp("whole")
    return Whole(folder / "run", finish(arguments(folder, "run"), folder / "log.txt"))


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < until, "it never happened"
        time.sleep(0.005)


def is_training(log: Path) -> bool:
    return log.exists() and re.search(r"^step \d+/", log.read_text(), re.MULTILINE) is not None


@pytest.mark.parametrize("kills", [10, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_trainings_end_as_one_that_was_left_alone(whole, arguments, tmp_path, kills):
    """SIGKILL at random moments: starting up, in a step, evaluating, writing a checkpoint."""
    rng = random.Random(kills)
    logs = (tmp_path / f"life{number}.txt" for number in itertools.count())
    killed, runs = 0, 0
    while killed < kills:  # a run may come to its end before
        runs += 1
        run_dir = tmp_path / f"killed{runs}"
        command = arguments(tmp_path, run_dir.name)
        while killed < kills:
            log = next(logs)
            process = start_training(command, log)
            if rng.random() < 0.8:
                wait_for(lambda: is_training(log) or process.exitcode is not None)  # noqa: B023
            process.join(rng.uniform(0, whole.seconds / 5))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            killed += 1
        finish(command, next(logs))
        assert_same_run(run_dir, whole.run_dir)


def test_an_interrupted_training_goes_on_where_it_was(whole, arguments, tmp_path):
    """The whole group is signalled, the loader's worker too, as terminals and Slurm do."""
    run_dir = tmp_path / "run"
    command = arguments(tmp_path, "run", "dataloader.num_workers=1")
    rng = random.Random(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        log = tmp_path / f"{number.name}.txt"
        process = start_training(command, log)
        wait_for(lambda: is_training(log))  # noqa: B023
        time.sleep(rng.uniform(0, whole.seconds / 5))
        os.killpg(process.pid, number)
        process.join(60)
        said = log.read_text()
        assert process.exitcode == EXIT_INTERRUPTED, said
        remedy = rf"stopped by {number.name} at step \d+; .*trainer\.resume_from={run_dir}"
        assert re.search(remedy, said)
        assert "Traceback" not in said
    finish(command, tmp_path / "end.txt")
    assert_same_run(run_dir, whole.run_dir)


def test_a_full_disk_stops_a_training_and_costs_it_nothing(whole, arguments, tmp_path):
    """The system refuses to let any file of the running process grow beyond 8 kB."""
    log, run_dir = tmp_path / "log.txt", tmp_path / "run"
    command = arguments(tmp_path, "run")
    process = start_training(command, log)
    wait_for(lambda: list(run_dir.glob("checkpoints/step_*/manifest.json")))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
    process.join(60)
    assert process.exitcode == 2
    [sentence] = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    assert re.search(r"checkpoint .* cannot be written \(File too large\); make room", sentence)
    assert find_resumable(run_dir)
    assert not list(run_dir.glob("checkpoints/*.new")), "what was half written makes room"
    finish(command, log)
    assert_same_run(run_dir, whole.run_dir)
