"""`python train.py -cn=best`: everything that baseline leaves off, at once."""

from __future__ import annotations

import csv
import math

import pytest
from hydra import compose, initialize_config_dir
from torch import nn

from src.datasets import SpeedPerturbedDataset
from src.trainer.build import build_trainer
from src.trainer.run_folder import open_run_folder
from src.utils.random_state import seed_everything
from tests.trainer.conftest import CONFIGS


def composed(command):
    with initialize_config_dir(CONFIGS, version_base=None):
        return compose(command, overrides=["run_name=x"])


def switches(config):
    """Whether each way to a better model is on."""
    groups = config.optimizer._target_ == "src.trainer.parameter_groups.adamw"
    return {
        "intermediate CTC": bool(config.model.intermediate_layers)
        and config.loss.intermediate_weight > 0,
        "self-conditioning": config.model.self_conditioning,
        "stochastic depth": config.model.stochastic_depth > 0,
        "CR-CTC": config.loss.get("consistency_weight", 0) > 0,
        "speed perturbation": bool(config.dataloader.speeds),
        "EMA": bool(config.trainer.ema_decay),
        "no decay of norms and biases": groups and config.optimizer.weight_decay > 0,
        "speaking rate": config.datasets.train.get("max_characters_per_second") is not None,
        "dropout schedule": bool(config.trainer.dropout_schedule),
    }


def test_each_is_off_in_baseline_and_on_in_best():
    assert not any(switches(composed("baseline")).values())
    assert all(switches(composed("best")).values())


def test_all_of_them_train_together(compose_tiny):
    config = compose_tiny(
        *("text_encoder=ctc_text_encoder", "model.n_layers=13", "trainer.accumulation=1"),
        *("dataloader.num_workers=0", "trainer.epochs=1", "trainer.epoch_len=4"),
        command="best",
    )
    run_dir = open_run_folder(config)
    seed_everything(config.seed)
    trainer = build_trainer(config, run_dir)
    weights = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    trainer.train()
    assert math.isfinite(trainer.best)
    with (run_dir / "metrics.csv").open() as file:
        logged = [row for row in csv.DictReader(file) if row["mode"] == "train"]
    for row in logged:
        ctc, intermediate, disagreement = (
            float(row[f"{part}_loss"]) for part in ("ctc", "intermediate", "consistency")
        )
        expected = 0.7 * ctc + 0.3 * intermediate + 0.2 * disagreement
        assert float(row["loss"]) == pytest.approx(expected, rel=1e-3)
        assert disagreement > 0
    assert len(logged) == 2
    assert trainer.criterion.views == 2
    assert isinstance(trainer.loaders["train"].dataset.dataset, SpeedPerturbedDataset)
    assert not isinstance(trainer.loaders["val"].dataset, SpeedPerturbedDataset)
    assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [0.01, 0]
    assert all(not (new == old).all() for new, old in zip(trainer.model.parameters(), weights))
    dropouts = [module.p for module in trainer.model.modules() if isinstance(module, nn.Dropout)]
    assert all(p == trainer.dropout_schedule.at(3) for p in dropouts)
    assert len(trainer.model.intermediate_layers) == 2
