"""`saved/<run>/`: one folder that inference, resuming and sharing need nothing beside."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from src.trainer.checkpoint import find_checkpoint, run_dir_of
from src.utils.errors import UserError
from src.utils.git_snapshot import save_git_snapshot

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"


def open_run_folder(config: DictConfig) -> Path:
    """The run's folder, ready to be written.

    A resumed run goes on in the folder it came from, as it is. A folder that holds a run already
    is replaced only with `overwrite=true`.
    """
    if config.trainer.resume_from:
        return run_dir_of(find_checkpoint(config.trainer.resume_from, prefer=("last", "best")))
    run_dir = Path(config.save_dir) / config.run_name
    if run_dir.exists() and any(run_dir.iterdir()):
        _make_room(run_dir, config.overwrite)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        record_run(config, run_dir)
    except OSError as error:
        raise UserError(
            f"the run folder {run_dir} cannot be written ({error.strerror}); set save_dir to a "
            "folder that can"
        ) from None
    return run_dir


def record_run(config: DictConfig, run_dir: Path) -> None:
    """Writes the resolved config and the state of the code into the run folder."""
    OmegaConf.save(config, run_dir / CONFIG, resolve=True)
    save_git_snapshot(run_dir)


def _make_room(run_dir: Path, overwrite: bool) -> None:
    if not overwrite:
        raise UserError(
            f"{run_dir} holds a run already; go on with it by trainer.resume_from={run_dir}, "
            "choose another run_name, or replace it by overwrite=true"
        )
    if not (run_dir / CONFIG).is_file():
        raise UserError(
            f"{run_dir} is not empty and not a run folder, so overwrite=true leaves it alone; "
            "choose another run_name"
        )
    shutil.rmtree(run_dir)


def read_run_config(run_dir: Path) -> DictConfig:
    """The resolved config that `open_run_folder` wrote."""
    path = run_dir / CONFIG
    try:
        config = OmegaConf.load(path)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}); name a run folder that train.py wrote"
        ) from None
    if not isinstance(config, DictConfig):
        raise UserError(f"{path} is not a run's config; name a run folder that train.py wrote")
    return config
