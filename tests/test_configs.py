"""Every config composes, and every part it names can be built."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, get_method, instantiate
from omegaconf import OmegaConf

CONFIGS = Path(__file__).parents[1] / "configs"
COMMANDS = {"baseline", "best", "demo", "onebatchtest"}
GROUPS = {
    *("model", "text_encoder", "datasets", "dataloader", "transforms", "loss", "optimizer"),
    *("lr_scheduler", "metrics", "trainer", "writer"),
}
CHOICES = [
    (group, path.stem)
    for group in sorted(GROUPS)
    for path in sorted((CONFIGS / group).glob("*.yaml"))
]


def composed(name, *overrides):
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose(name, overrides=list(overrides))
    OmegaConf.set_struct(config, True)
    return config


def targets(node):
    """Every `_target_` in a config of plain dicts and lists."""
    if isinstance(node, dict):
        yield from [node["_target_"]] if "_target_" in node else []
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from targets(child)


def test_every_command_has_every_group():
    primary = {path.stem for path in CONFIGS.glob("*.yaml")} - {"run"}
    assert primary == COMMANDS | {"inference"}
    assert {path.name for path in CONFIGS.iterdir() if path.is_dir()} == GROUPS | {
        "decoder",
        "experiment",
        "hydra",
    }
    for command in COMMANDS:
        assert composed(command, "run_name=x").keys() >= GROUPS


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_and_names_things_that_exist(group, choice):
    name = "inference" if choice in ("folder", "librispeech_test") else "baseline"
    config = composed(name, f"{group}={choice}", *(["run_name=x"] if name == "baseline" else []))
    plain = OmegaConf.to_container(config, resolve=True)  # what a user must give stays "???"
    named = list(targets(plain[group]))
    assert named or group == "dataloader"
    for target in named:
        try:
            get_class(target)
        except Exception:
            get_method(target)


@pytest.mark.parametrize("experiment", [p.stem for p in (CONFIGS / "experiment").glob("*.yaml")])
def test_every_experiment_composes(experiment):
    config = composed("baseline", f"+experiment={experiment}")
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize("choice", [p.stem for p in (CONFIGS / "lr_scheduler").glob("*.yaml")])
def test_every_schedule_takes_a_step(choice):
    config = composed("baseline", f"lr_scheduler={choice}", "run_name=x")
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = instantiate(config.optimizer, _partial_=True)([parameter])
    schedule = instantiate(config.lr_scheduler, _partial_=True)(optimizer, total_steps=20)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        parameter.sum().backward()
        optimizer.step()
        schedule.step()
    assert 0 < rates[0] < max(rates) <= config.optimizer.lr * (1 + 1e-9)


def test_one_setting_says_where_data_lives():
    config = composed("baseline", "data_dir=/elsewhere", "run_name=x")
    roots = [split.root for split in config.datasets.values()]
    assert len(roots) == 4
    assert set(roots) == {"/elsewhere/LibriSpeech"}


def test_test_parts_never_select_a_model():
    config = composed("baseline", "run_name=x")
    assert config.datasets.train.part == "train-clean-100"
    assert config.datasets.val.part == "dev-clean"
    assert config.trainer.monitor == "argmax/wer"
