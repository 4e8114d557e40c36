"""`saved/<run>/`: one folder that inference, resuming and sharing need nothing beside."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from src.trainer.checkpoint import find_resumable, run_dir_of
from src.utils.atomic_file import write_text_atomically
from src.utils.errors import UserError
from src.utils.git_snapshot import save_git_snapshot

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"


def checkpoint_to_resume(config: DictConfig) -> str | None:
    """The checkpoint that `trainer.resume_from` names or `trainer.resume=auto` finds, if any.

    Raises:
        UserError: it is not there or damaged, or the two settings cannot be meant together.
    """
    resume, resume_from = config.trainer.resume, config.trainer.resume_from
    if resume not in (None, "auto"):
        raise UserError(f"trainer.resume={resume} is unknown: use auto, or trainer.resume_from")
    if resume and resume_from:
        raise UserError("trainer.resume=auto and trainer.resume_from exclude each other; keep one")
    if resume and "${now:" in str(OmegaConf.to_container(config, resolve=False)):
        raise UserError(
            "trainer.resume=auto needs a name that is the same every time, and run_name is the "
            "current time by default: give run_name=NAME"
        )
    path = resume_from or (resume and _own_folder(config))
    checkpoint = find_resumable(path) if path else None
    if resume_from and not checkpoint:
        raise UserError(f"no checkpoint in {path}; name a run folder that train.py wrote")
    return str(checkpoint) if checkpoint else None


def open_run_folder(config: DictConfig) -> Path:
    """The run's folder, ready to be written.

    A resumed run goes on in the folder it came from, as it is. A folder that holds a run already
    is replaced only with `overwrite=true`, or with `trainer.resume=auto` if it died before its
    first checkpoint.
    """
    if config.trainer.resume_from:
        return run_dir_of(Path(config.trainer.resume_from))
    run_dir = _own_folder(config)
    if run_dir.exists() and any(run_dir.iterdir()):
        _make_room(run_dir, config.overwrite or config.trainer.resume == "auto")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        record_run(config, run_dir)
    except OSError as error:
        raise UserError(
            f"the run folder {run_dir} cannot be written ({error.strerror}); set save_dir to a "
            "folder that can"
        ) from None
    return run_dir


def _own_folder(config: DictConfig) -> Path:
    """`save_dir/run_name`; for a job of a multirun the folder that Hydra gives it."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return Path(HydraConfig.get().runtime.output_dir)
    return Path(config.save_dir) / str(config.run_name)


def record_run(config: DictConfig, run_dir: Path) -> None:
    """Writes the resolved config and the state of the code into the run folder."""
    write_text_atomically(run_dir / CONFIG, OmegaConf.to_yaml(config, resolve=True))
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
    for path in run_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != CONFIG:  # stays, to tell after a kill that this is a run's folder
            path.unlink()


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
