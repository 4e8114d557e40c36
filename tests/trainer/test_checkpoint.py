import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from src.trainer.checkpoint import (
    find_checkpoint,
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
