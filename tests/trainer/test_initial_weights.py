"""`trainer.init_from`: a new run from another one's weights."""

import pytest
import torch
from safetensors.torch import load_file

from src.trainer.build import build_trainer
from src.trainer.config_checks import check_training
from src.trainer.run_folder import open_run_folder
from src.utils.errors import UserError
from src.utils.random_state import seed_everything


def start(config):
    seed_everything(config.seed)
    return build_trainer(config, open_run_folder(config))


@pytest.fixture(scope="module")
def compose_in(tiny_overrides):
    from tests.trainer.conftest import CONFIGS, compose, initialize_config_dir

    def compose_run(folder, name, *more):
        with initialize_config_dir(CONFIGS, version_base=None):
            return compose("onebatchtest", tiny_overrides(folder, name, "overwrite=false", *more))

    return compose_run


@pytest.fixture(scope="module")
def trained(compose_in, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    start(compose_in(folder, "first", "trainer.epochs=1")).train()
    return folder / "first"


def test_a_run_starts_from_anothers_weights_and_text_encoder(compose_in, trained, tmp_path):
    encoder = "text_encoder=sp_ctc_text_encoder"  # what it names is not learnt anew
    config = compose_in(tmp_path, "second", f"trainer.init_from={trained}", encoder)
    check_training(config)
    trainer = start(config)
    expected = load_file(trained / "checkpoints" / "best" / "model.safetensors")
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert trainer.step == 0
    assert trainer.optimizer.state == {}
    first, second = (folder / "text_encoder" for folder in (trained, tmp_path / "second"))
    for file in first.iterdir():
        assert (second / file.name).read_bytes() == file.read_bytes()


def test_a_new_text_encoder_leaves_the_output_layers_new(compose_in, trained, tmp_path):
    options = (f"trainer.init_from={trained}", "trainer.init_text_encoder=false")
    encoder = "text_encoder=phoneme_ctc_text_encoder"
    config = compose_in(tmp_path, "third", *options, encoder)
    check_training(config)
    trainer = start(config)
    before = load_file(trained / "checkpoints" / "best" / "model.safetensors")
    weights = trainer.model.state_dict()
    assert {name for name in before if not name.startswith("head.")} < weights.keys()
    for name, value in weights.items():
        if name.startswith("head."):
            assert len(value) == len(trainer.text_encoder) == 42
        else:
            assert torch.equal(value, before[name]), name
    same = compose_in(tmp_path, "fourth", *options)  # characters again, and yet a new head
    assert not torch.equal(start(same).model.head.weight, before["head.weight"])


def test_resuming_goes_before(compose_in, trained, tmp_path):
    options = (f"trainer.init_from={trained}", "trainer.epochs=1")
    begun = start(compose_in(tmp_path, "second", *options))
    begun.train()
    last = tmp_path / "second" / "checkpoints" / "last"
    resumed = start(compose_in(tmp_path, "second", *options, f"trainer.resume_from={last}"))
    assert resumed.step == begun.step
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, begun.model.state_dict()[name])


def test_what_does_not_fit_is_one_sentence(compose_in, trained, tmp_path):
    with pytest.raises(UserError, match="no checkpoint in"):
        check_training(compose_in(tmp_path, "x", f"trainer.init_from={tmp_path}"))
    config = compose_in(tmp_path, "y", f"trainer.init_from={trained}", "model.d_model=32")
    with pytest.raises(UserError, match="is of another architecture"):
        start(config)
