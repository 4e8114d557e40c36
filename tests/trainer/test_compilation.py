import pytest
import torch
from torch._dynamo.utils import counters

from src.trainer.build import build_trainer
from src.trainer.run_folder import open_run_folder
from src.utils.errors import UserError
from src.utils.random_state import seed_everything


def train(config):
    seed_everything(config.seed)
    trainer = build_trainer(config, open_run_folder(config))
    trainer.train()
    return trainer


def test_a_compiled_run_is_the_eager_one(compose_tiny):
    """Weights after steps on batches of many shapes and an evaluation; few graphs."""
    options = ["trainer.epochs=1", "trainer.epoch_len=3", "model.dropout=0.0", "transforms=none"]
    eager = train(compose_tiny(*options, run_name="eager"))
    torch.compiler.reset()
    counters.clear()
    compiled = train(compose_tiny(*options, "trainer.compile=eager", run_name="compiled"))
    assert 1 <= counters["stats"]["unique_graphs"] <= 4
    torch.compiler.reset()
    for name, value in eager.model.state_dict().items():
        torch.testing.assert_close(compiled.model.state_dict()[name], value, atol=1e-5, rtol=1e-4)


def test_an_unknown_backend_is_refused(compose_tiny):
    with pytest.raises(UserError, match=r"trainer.compile=gcc .* inductor"):
        train(compose_tiny("trainer.compile=gcc"))
