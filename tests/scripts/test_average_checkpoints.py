import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from src.trainer.checkpoint import load_weights, save_checkpoint
from src.trainer.pretrained import load_pretrained


def net(width=3):
    return nn.Sequential(nn.Linear(2, width), nn.LayerNorm(width))


@pytest.fixture(scope="module")
def average_checkpoints(load_script):
    return load_script("average_checkpoints")


@pytest.fixture
def saved(tmp_path):
    """Checkpoints after 5, 10, ... 50 steps, the last two and the best."""
    torch.manual_seed(0)
    for name in (*(f"step_{step}" for step in range(5, 51, 5)), "last", "best"):
        save_checkpoint(tmp_path / "run/checkpoints" / name, net(), {"step": 0})
    return tmp_path / "run"


def mean_of(saved, *names):
    """Read and averaged by numpy."""
    files = [load_file(saved / "checkpoints" / name / "model.safetensors") for name in names]
    return {
        name: np.mean([file[name].astype(np.float64) for file in files], axis=0)
        for name in files[0]
    }


def assert_is(checkpoint, expected):
    actual = load_file(checkpoint / "model.safetensors")
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected[name], rtol=1e-6)


def test_the_newest_are_averaged(run_main, average_checkpoints, saved):
    """By number: step_50 is newer than step_5."""
    code, out, _ = run_main(average_checkpoints, saved, "--last", 3)
    assert code == 0
    assert out.strip().endswith("the mean of step_40, step_45, step_50")
    average = saved / "checkpoints/average"
    assert_is(average, mean_of(saved, "step_40", "step_45", "step_50"))
    load_weights(average, net())


def test_named_ones_are_averaged(run_main, average_checkpoints, saved):
    folders = [saved / "checkpoints" / name for name in ("step_5", "best")]
    code, *_ = run_main(average_checkpoints, *folders, "--name", "mine")
    assert code == 0
    assert_is(saved / "checkpoints/mine", mean_of(saved, "step_5", "best"))


def test_what_cannot_be_averaged_is_one_sentence(run_main, average_checkpoints, saved, tmp_path):
    save_checkpoint(saved / "checkpoints/other", net(width=4), {})
    folders = [saved / "checkpoints" / name for name in ("best", "other")]
    code, _, complaint = run_main(average_checkpoints, *folders)
    assert code == 2
    assert "is of another architecture than" in complaint
    code, _, complaint = run_main(average_checkpoints, tmp_path)
    assert code == 2
    assert "trainer.save_every" in complaint


def test_inference_reads_the_average(run_main, average_checkpoints, run_dir, tmp_path):
    run = shutil.copytree(run_dir, tmp_path / "run")
    model = load_pretrained(run).model
    with torch.no_grad():
        for step in (1, 2):
            model.head.bias.fill_(step)
            save_checkpoint(run / f"checkpoints/step_{step}", model, {})
    code, *_ = run_main(average_checkpoints, run)
    assert code == 0
    averaged = load_pretrained(run / "checkpoints/average").model
    assert torch.equal(averaged.head.bias, torch.full_like(model.head.bias, 1.5))
