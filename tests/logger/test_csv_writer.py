"""The files of the always-on writer, read back by others, also after a kill and a resume."""

from __future__ import annotations

import csv
import json
import math
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.image import imread

from src.logger.csv_writer import CSVWriter
from src.utils.errors import UserError


def read_csv(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_jsonl(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def log(writer: CSVWriter, step: int, mode: str = "train", **scalars: float) -> None:
    writer.set_step(step, mode)
    writer.add_scalars(scalars)


def test_one_row_per_step_and_mode_with_columns_that_come_later(tmp_path: Path) -> None:
    writer = CSVWriter(tmp_path)
    writer.set_step(10)
    writer.add_scalar("loss", 2.5)
    writer.add_scalar("lr", torch.tensor(0.25))
    log(writer, 20, loss=1.5, lr=0.5)
    writer.set_step(20, "dev-clean")
    writer.add_scalar("wer/argmax, %", 12.5)  # a comma: must be quoted
    log(writer, 30, loss=0.1)
    writer.close()

    keys = ["step", "mode", "loss", "lr", "wer/argmax, %"]
    assert [[row[key] for key in keys] for row in read_csv(tmp_path)] == [
        ["10", "train", "2.5", "0.25", ""],
        ["20", "train", "1.5", "0.5", ""],
        ["20", "dev-clean", "", "", "12.5"],
        ["30", "train", "0.1", "", ""],
    ]
    rows = read_jsonl(tmp_path)
    assert all(row.pop("time") for row in rows)
    assert rows == [
        {"step": 10, "mode": "train", "loss": 2.5, "lr": 0.25},
        {"step": 20, "mode": "train", "loss": 1.5, "lr": 0.5},
        {"step": 20, "mode": "dev-clean", "wer/argmax, %": 12.5},
        {"step": 30, "mode": "train", "loss": 0.1},
    ]


def test_a_row_is_on_disk_once_the_step_changes_or_on_flush(tmp_path: Path) -> None:
    writer = CSVWriter(tmp_path)
    log(writer, 1, loss=1.0)
    assert read_csv(tmp_path) == []
    writer.set_step(2)
    assert [row["step"] for row in read_csv(tmp_path)] == ["1"]
    writer.add_scalar("loss", 0.5)
    writer.flush()
    assert [row["step"] for row in read_csv(tmp_path)] == ["1", "2"]
    writer.close()
    assert len(read_csv(tmp_path)) == len(read_jsonl(tmp_path)) == 2


def test_resume_drops_the_rows_after_its_step(tmp_path: Path) -> None:
    first = CSVWriter(tmp_path)
    for step in range(10, 60, 10):
        log(first, step, loss=float(step))
    log(first, 50, "dev", wer=0.5)
    first.close()

    second = CSVWriter(tmp_path)
    second.truncate_after(30)
    log(second, 40, loss=-40.0)
    second.close()

    assert [(row["step"], row["loss"]) for row in read_csv(tmp_path)] == [
        ("10", "10.0"),
        ("20", "20.0"),
        ("30", "30.0"),
        ("40", "-40.0"),
    ]
    assert [row["step"] for row in read_jsonl(tmp_path)] == [10, 20, 30, 40]


def test_not_a_number_survives_rewriting(tmp_path: Path) -> None:
    writer = CSVWriter(tmp_path)
    log(writer, 1, loss=math.nan, norm=math.inf)
    log(writer, 2, loss=1.0, new_column=1.0)  # rewrites the CSV from the JSON lines
    writer.close()
    row = read_csv(tmp_path)[0]
    assert math.isnan(float(row["loss"]))
    assert float(row["norm"]) == math.inf


def _log_for_ever(run_dir: Path, flushed: multiprocessing.sharedctypes.Synchronized) -> None:
    writer = CSVWriter(run_dir)
    for step in range(flushed.value + 1, 1_000_000):
        # Wide rows and, every so often, a new column: the whole CSV is then replaced.
        columns = {f"metric_{i}": step / 3 for i in range(20 + step // 4)}
        log(writer, step, **columns)
        writer.flush()
        flushed.value = step


def watch_whole_lines(path: Path, seconds: float) -> None:
    """Reads the growing CSV all the while: what a reader sees is what a kill would leave."""
    deadline = time.monotonic() + seconds
    lines: list[str] = []
    while time.monotonic() < deadline:
        # at once: a loop over the lines may go on behind half a line, at its other half
        seen = path.read_text().splitlines(keepends=True)
        earlier, lines = lines, [line for line in seen if line.endswith("\n")]
        assert len(lines) >= max(len(earlier), 1)
        assert {line.count(",") for line in lines} == {lines[0].count(",")}


def test_kills_at_any_time_leave_whole_rows_and_lose_none(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    generator = np.random.default_rng(0)
    flushed = context.Value("q", 0, lock=False)
    for _ in range(12):
        CSVWriter(tmp_path).truncate_after(flushed.value)
        life_began_at = flushed.value
        process = context.Process(target=_log_for_ever, args=(tmp_path, flushed), daemon=True)
        process.start()
        while flushed.value == life_began_at and process.is_alive():
            time.sleep(0.001)
        watch_whole_lines(tmp_path / "metrics.csv", seconds=generator.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL

        rows = read_jsonl(tmp_path)  # raises on half a line
        assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) >= flushed.value
        with (tmp_path / "metrics.csv").open(newline="") as file:
            header, *lines = csv.reader(file)
        assert all(len(line) == len(header) for line in lines)
        assert len(lines) in (len(rows), len(rows) - 1)

    CSVWriter(tmp_path)
    assert [int(row["step"]) for row in read_csv(tmp_path)] == list(range(1, len(rows) + 1))


def test_half_a_line_from_a_power_cut_is_dropped(tmp_path: Path) -> None:
    first = CSVWriter(tmp_path)
    log(first, 1, loss=1.0)
    first.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "mo')
    second = CSVWriter(tmp_path)
    log(second, 2, loss=0.5)
    second.close()
    assert [row["loss"] for row in read_jsonl(tmp_path)] == [1.0, 0.5]
    assert [row["loss"] for row in read_csv(tmp_path)] == ["1.0", "0.5"]


def test_a_foreign_metrics_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("step loss\n1 2\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl"):
        CSVWriter(tmp_path)


def test_table(tmp_path: Path) -> None:
    writer = CSVWriter(tmp_path)
    writer.set_step(7, "dev-clean")
    writer.add_table("predictions/beam", ["reference", "prediction"], [["a, b", 'say "c"']])
    with (tmp_path / "tables" / "dev-clean_predictions-beam_7.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["reference", "prediction"], ["a, b", 'say "c"']]


def test_the_latest_image_is_kept_exactly(tmp_path: Path) -> None:
    writer = CSVWriter(tmp_path)
    generator = np.random.default_rng(0)
    for step in (1, 2):
        image = generator.integers(0, 256, size=(5, 9, 3), dtype=np.uint8)
        writer.set_step(step)
        writer.add_image("spectrogram", image)
    [path] = (tmp_path / "images").iterdir()
    assert path.name == "train_spectrogram.png"
    read = np.round(imread(path)[..., :3] * 255).astype(np.uint8)
    np.testing.assert_array_equal(read, image)


def test_audio_is_playable_pcm16(tmp_path: Path) -> None:
    writer = CSVWriter(tmp_path)
    audio = torch.sin(torch.arange(8000) / 20) * 0.5
    writer.add_audio("sample", audio, 8000)
    read, rate = soundfile.read(tmp_path / "audio" / "train_sample.wav", dtype="float32")
    assert rate == 8000
    assert soundfile.info(tmp_path / "audio" / "train_sample.wav").subtype == "PCM_16"
    np.testing.assert_allclose(read, audio.numpy(), atol=1 / 32768)
