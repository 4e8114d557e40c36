"""Several runs by one command, each in its own folder."""

from __future__ import annotations

import inspect

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.test_configs import CONFIGS

TINY = (
    *("-m", "-cn=onebatchtest", "device=cpu", "model.d_model=16", "model.n_layers=1"),
    *("model.n_heads=2", "model.subsampling_channels=4", "trainer.epochs=1", "trainer.epoch_len=2"),
)


def test_each_job_of_a_multirun_has_its_own_run_folder(run_here, tmp_path):
    done = run_here("train.py", *TINY, f"save_dir={tmp_path}", "seed=3,4")
    assert done.returncode == 0, done.stderr
    for job, seed in enumerate((3, 4)):
        run_dir = tmp_path / "sweeps" / "onebatchtest" / str(job)
        assert OmegaConf.load(run_dir / "config.yaml").seed == seed
        assert (run_dir / "metrics.csv").is_file()
        assert (run_dir / "checkpoints" / "last" / "model.safetensors").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"sweeps"}


def test_a_job_that_cannot_run_is_one_sentence(run_here, tmp_path):
    done = run_here("train.py", *TINY, f"save_dir={tmp_path}", "trainer.precision=fp64")
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "fp64" in done.stderr
    assert "Traceback" not in done.stderr


def hydra_config(*overrides):
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose("baseline", overrides=[*overrides, "run_name=x"], return_hydra_config=True)
    return config.hydra


def test_a_slurm_job_asks_for_what_submitit_knows():
    launcher = pytest.importorskip("submitit", reason="pip install hydra-submitit-launcher")
    config = hydra_config("hydra/launcher=slurm", "hydra.launcher.nodes=2").launcher
    known = launcher.SlurmExecutor._valid_parameters() | {"nodes", "tasks_per_node"}
    known |= {"gpus_per_node", "cpus_per_task", "mem_gb", "timeout_min", "name"}
    own = {"_target_", "submitit_folder", "max_num_timeout"}
    assert config.keys() - own <= known
    assert config.nodes == 2


def test_a_search_has_every_argument_of_the_optuna_sweeper():
    plugin = pytest.importorskip(
        "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper",
        reason="pip install hydra-optuna-sweeper",
    )
    config = hydra_config("hydra/sweeper=tpe").sweeper
    arguments = inspect.signature(plugin.OptunaSweeper).parameters
    assert config.keys() - {"_target_"} == set(arguments)
