"""Event files read back with TensorBoard's own reader."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.image import imread

from src.logger.tensorboard_writer import TensorBoardWriter
from src.utils.errors import UserError

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read_back(run_dir: Path):
    events = event_accumulator.EventAccumulator(str(run_dir / "tensorboard"))
    events.Reload()
    return events


def scalars(run_dir: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read_back(run_dir).Scalars(tag)]


def test_scalars_by_mode(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path)
    writer.set_step(10)
    writer.add_scalars({"loss": 2.5, "rate": torch.tensor(0.25)})
    writer.set_step(20, "dev-clean")
    writer.add_scalar("wer/beam", 0.5)
    writer.close()
    assert scalars(tmp_path, "train/loss") == [(10, 2.5)]
    assert scalars(tmp_path, "train/rate") == [(10, 0.25)]
    assert scalars(tmp_path, "dev-clean/wer/beam") == [(20, 0.5)]


def test_flush_is_enough_to_be_read(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path)
    writer.set_step(1)
    writer.add_scalar("loss", 1.0)
    writer.flush()
    assert scalars(tmp_path, "train/loss") == [(1, 1.0)]
    writer.close()


def test_resume_hides_later_steps_of_the_earlier_life(tmp_path: Path) -> None:
    first = TensorBoardWriter(tmp_path)
    for step in (1, 2, 3, 4):
        first.set_step(step)
        first.add_scalar("loss", float(step))
    first.close()
    second = TensorBoardWriter(tmp_path)
    second.truncate_after(2)
    second.set_step(3)
    second.add_scalar("loss", -3.0)
    second.close()
    assert scalars(tmp_path, "train/loss") == [(1, 1.0), (2, 2.0), (3, -3.0)]


def test_image_audio_and_table(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path)
    writer.set_step(5, "dev")
    image = np.random.default_rng(0).integers(0, 256, size=(6, 11, 3), dtype=np.uint8)
    audio = torch.sin(torch.arange(4000) / 20) * 0.5
    writer.add_image("spectrogram", image)
    writer.add_audio("sample", audio, 8000)
    writer.add_table("predictions", ["reference", "prediction"], [["a|b", "c"]])
    writer.close()

    events = read_back(tmp_path)
    [event] = events.Images("dev/spectrogram")
    assert event.step == 5
    read = imread(io.BytesIO(event.encoded_image_string), format="png")
    np.testing.assert_array_equal(np.round(read[..., :3] * 255).astype(np.uint8), image)
    [event] = events.Audio("dev/sample")
    read, rate = soundfile.read(io.BytesIO(event.encoded_audio_string), dtype="float32")
    assert rate == 8000
    np.testing.assert_allclose(read, audio.numpy(), atol=2 / 32768)
    [event] = events.Tensors("dev/predictions/text_summary")
    assert event.tensor_proto.string_val[0].decode().splitlines() == [
        "| reference | prediction |",
        "| --- | --- |",
        "| a\\|b | c |",
    ]


def test_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        TensorBoardWriter(tmp_path)
