import contextlib
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from src.trainer.checkpoint import (
    find_checkpoint,
    find_resumable,
    load_training_state,
    load_weights,
    save_checkpoint,
)
from src.utils.errors import UserError
from src.utils.random_state import random_state, restore_random_state, seed_everything


def net(width=3):
    return nn.Sequential(
        nn.Linear(2, width), nn.Conv2d(1, 1, 3).to(memory_format=torch.channels_last)
    )


def test_weights_survive_and_any_safetensors_reader_can_read_them(tmp_path):
    model, other = net(), net()
    save_checkpoint(tmp_path / "last", model, {"step": 3})
    weights = load_file(tmp_path / "last" / "model.safetensors")
    assert weights.keys() == model.state_dict().keys()
    load_weights(tmp_path / "last", other)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
        assert torch.equal(weights[name], value)


def test_saving_again_replaces_a_checkpoint_and_keeps_the_last_one_but_one(tmp_path):
    for step in (1, 2, 3):
        for name in ("last", "best"):
            save_checkpoint(tmp_path / name, net(), {"step": step})
    assert {path.name for path in tmp_path.iterdir()} == {"last", "previous", "best"}
    assert load_training_state(tmp_path / "last") == {"step": 3}
    assert load_training_state(tmp_path / "previous") == {"step": 2}


def test_the_training_state_needs_no_pickled_code(tmp_path):
    """Optimizer, schedule and every RNG come back through `weights_only=True` alone."""
    seed_everything(5)
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    state = {"optimizer": optimizer.state_dict(), "random": random_state()}
    save_checkpoint(tmp_path / "last", model, state)
    expected = draws()
    loaded = load_training_state(tmp_path / "last")
    restore_random_state(loaded["random"])
    assert draws() == expected
    optimizer.load_state_dict(loaded["optimizer"])


def draws():
    import random

    import numpy as np

    return random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item()


def test_another_architecture_is_one_sentence(tmp_path):
    save_checkpoint(tmp_path / "run/checkpoints/last", net(width=4), {})
    with pytest.raises(UserError, match=r"another architecture: 2 of 4 tensors.*0\.bias"):
        load_weights(tmp_path / "run/checkpoints/last", net(width=3))


def test_a_torn_file_is_one_sentence(tmp_path):
    save_checkpoint(tmp_path / "last", net(), {"step": 1})
    for name in ("model.safetensors", "training_state.pt"):
        path = tmp_path / "last" / name
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read"):
        load_weights(tmp_path / "last", net())
    with pytest.raises(UserError, match=r"training_state\.pt cannot be read"):
        load_training_state(tmp_path / "last")


def test_a_run_folder_or_a_checkpoint_folder_is_found(tmp_path):
    for name in ("last", "best"):
        save_checkpoint(tmp_path / "run" / "checkpoints" / name, net(), {})
    run = tmp_path / "run"
    assert find_checkpoint(run, prefer=("best", "last")).name == "best"
    assert find_checkpoint(run, prefer=("last", "best")).name == "last"
    assert find_checkpoint(run / "checkpoints/last", prefer=("best",)).name == "last"
    with pytest.raises(UserError, match="no checkpoint in"):
        find_checkpoint(tmp_path / "nowhere", prefer=("best",))


class Kill(BaseException):
    """Nothing in the code catches it, as nothing catches SIGKILL."""


def kill_at(monkeypatch, call_number: int) -> None:
    """The n-th of the calls that change names or promise durability never happens."""
    calls = iter(range(call_number))

    def guarded(function):
        def call(*args, **kwargs):
            if next(calls, None) is None:
                raise Kill
            return function(*args, **kwargs)

        return call

    for owner, name in ((Path, "rename"), (Path, "mkdir"), (shutil, "rmtree"), (os, "fsync")):
        monkeypatch.setattr(owner, name, guarded(getattr(owner, name)))


@pytest.mark.parametrize("name", ["last", "best", "step_2"])
def test_wherever_a_kill_falls_a_whole_checkpoint_is_found(tmp_path, monkeypatch, name):
    killed = 0
    for number in range(100):
        run = tmp_path / str(number)
        for step in (0, 1):
            save_checkpoint(run / "checkpoints" / name, net(), {"step": step})
        with monkeypatch.context() as patch, contextlib.suppress(Kill):
            kill_at(patch, number)
            save_checkpoint(run / "checkpoints" / name, net(), {"step": 2})
            break
        killed += 1
        found = find_resumable(run)
        assert load_training_state(found)["step"] in (1, 2)
        load_weights(find_checkpoint(run, prefer=(name,)), net())
        save_checkpoint(run / "checkpoints" / name, net(), {"step": 3})  # life goes on
        assert load_training_state(find_resumable(run))["step"] == 3
    assert killed > 6


@pytest.mark.parametrize("file", ["model.safetensors", "training_state.pt", "manifest.json"])
@pytest.mark.parametrize("fault", ["half", "flipped", "gone"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, caplog, file, fault):
    for step in (1, 2):
        save_checkpoint(tmp_path / "checkpoints/last", net(), {"step": step})
    damage_file(tmp_path / "checkpoints/last" / file, fault)
    found = find_resumable(tmp_path)
    assert found.name == "previous"
    assert load_training_state(found) == {"step": 1}
    if (file, fault) != ("manifest.json", "gone"):  # without it nothing was ever finished
        [warning] = caplog.records
        assert "checkpoints/last is damaged" in warning.getMessage()
        with pytest.raises(UserError, match=r"last is damaged .*name the run folder"):
            find_resumable(tmp_path / "checkpoints/last")
    if file == "model.safetensors":
        assert find_checkpoint(tmp_path, prefer=("last",)).name == "previous"


def damage_file(path: Path, fault: str) -> None:
    whole = path.read_bytes()
    middle = len(whole) // 2
    if fault == "half":
        path.write_bytes(whole[:middle])
    elif fault == "flipped":
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    else:
        path.unlink()


def test_a_run_with_damaged_checkpoints_only_is_not_begun_anew(tmp_path):
    save_checkpoint(tmp_path / "checkpoints/last", net(), {"step": 1})
    damage_file(tmp_path / "checkpoints/last/model.safetensors", "half")
    with pytest.raises(UserError, match=r"every checkpoint in .* is damaged; .*overwrite=true"):
        find_resumable(tmp_path)
    assert find_resumable(tmp_path / "nothing here") is None


def test_weights_without_a_training_state_are_nothing_to_resume(tmp_path):
    """Averaged weights lie beside the checkpoints that they were made of."""
    save_checkpoint(tmp_path / "checkpoints/last", net(), {"step": 1})
    save_file(net().state_dict(), make(tmp_path / "checkpoints/average") / "model.safetensors")
    assert find_resumable(tmp_path).name == "last"
    assert find_checkpoint(tmp_path, prefer=("average",)).name == "average"


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_the_newest_checkpoint_is_the_one_written_last(tmp_path):
    """Also where another life of the run, continued from an earlier step, got further."""
    for name, step in (("step_5", 5), ("step_9", 9), ("step_6", 6)):
        save_checkpoint(tmp_path / "checkpoints" / name, net(), {"step": step})
    assert find_resumable(tmp_path).name == "step_6"
