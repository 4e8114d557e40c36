"""Metrics, pictures, audio and tables for Comet (comet.com), online or into an archive.

export COMET_API_KEY=...                            # or a ~/.comet.config: logs online
comet upload RUN_DIR/comet/*.zip                    # later, for a run that had no key or network
"""

from __future__ import annotations

import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import requests
import soundfile
import yaml
from torch import Tensor

from src.logger.base_writer import BaseWriter
from src.logger.file_names import file_name
from src.utils.errors import UserError

logger = logging.getLogger(__name__)

# Read by comet_ml when it is imported; what the user has set in the environment wins.
_COMET_SETTINGS = {
    "COMET_DISABLE_AUTO_LOGGING": "1",  # it would patch torch and tensorboard at import
    "COMET_DISABLE_ANNOUNCEMENT": "1",
    "COMET_ERROR_TRACKING_ENABLE": "0",  # reports of its own errors to its own server
    "COMET_TIMEOUT_CLEANING": "60",  # seconds that the end of a run waits for a stalled upload;
    "COMET_TIMEOUT_UPLOAD": "60",  # by default these are one and three hours
}
_PROBE_SECONDS = 5


class CometMLWriter(BaseWriter):
    """One Comet experiment per run folder; a resumed run continues it.

    With an API key and a server that answers it logs online. Otherwise it makes an archive in
    `run_dir/comet`, complete when the process ends (not after a kill: `CSVWriter` is for that),
    and says so. It never prompts and never stops a training: an error of Comet's is warned of
    once. Steps logged twice, before and after a resume, are both kept by Comet.

    Args:
        run_dir: the run folder.
        project_name: Comet project, made on first use.
        run_name: name of the experiment in the project; None is the run folder's name.
        config: logged as the experiment's parameters, nested keys joined; by default what
            `run_dir/config.yaml` holds.
        workspace: Comet workspace; None is the account's default.
        mode: "online" (demands a key), "offline" (uses none), "auto" (online if there is a key).

    Raises:
        UserError: comet_ml is not installed, an unknown mode, or mode "online" without a key.
    """

    def __init__(
        self,
        run_dir: Path | str,
        project_name: str,
        run_name: str | None = None,
        config: Mapping[str, Any] | None = None,
        workspace: str | None = None,
        mode: Literal["auto", "online", "offline"] = "auto",
    ) -> None:
        if mode not in ("auto", "online", "offline"):
            raise UserError(f"writer.mode={mode} is unknown: use auto, online or offline.")
        comet_ml = _import_comet()
        api_key = None if mode == "offline" else _api_key()
        if mode == "online" and api_key is None:
            raise UserError(
                "writer.mode=online needs a Comet API key: set COMET_API_KEY or run `comet login`, "
                "or use writer.mode=auto, which logs to an archive without one."
            )
        self._step, self._mode = 0, "train"
        self._warned = False
        run_dir = Path(run_dir).resolve()
        directory = run_dir / "comet"
        directory.mkdir(parents=True, exist_ok=True)

        def start(online: bool) -> Any:
            return comet_ml.start(
                api_key=api_key,
                workspace=workspace,
                project_name=project_name,
                experiment_key=_experiment_key(directory),
                mode="get_or_create",
                online=online,
                experiment_config=_experiment_config(comet_ml, run_name or run_dir.name, directory),
            )

        self._experiment = None
        if api_key is not None and _server_answers():
            self._experiment = self._attempt(start, online=True)
        if self._experiment is None or not self._experiment.alive:
            if api_key is not None:
                logger.warning("Comet cannot be reached: this run goes to %s instead.", directory)
            self._experiment = self._attempt(start, online=False)
        self._log("log_parameters", dict(config or _run_config(run_dir)))

    def set_step(self, step: int, mode: str = "train") -> None:
        self._step, self._mode = step, mode

    def add_scalar(self, name: str, value: float) -> None:
        self.add_scalars({name: value})

    def add_scalars(self, scalars: Mapping[str, float]) -> None:
        named = {f"{self._mode}/{name}": float(value) for name, value in scalars.items()}
        self._log("log_metrics", named, step=self._step)

    def add_image(self, name: str, image: np.ndarray) -> None:
        self._log("log_image", image, name=f"{self._mode}/{name}", step=self._step)

    def add_audio(self, name: str, audio: Tensor, sample_rate: int) -> None:
        # Comet takes arrays only with scipy installed; of a file it keeps a copy of its own.
        name = f"{file_name(self._mode, name)}.wav"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            soundfile.write(path, audio.detach().float().cpu().numpy(), sample_rate)
            self._log("log_audio", str(path), file_name=name, step=self._step)

    def add_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        file = f"{file_name(self._mode, name, self._step)}.csv"
        self._log("log_table", file, tabular_data=[list(row) for row in rows], headers=[*columns])

    def flush(self) -> None:
        """Comet sends in the background; waiting for it here could stall the training."""

    def close(self) -> None:
        self._log("end")

    def _log(self, method: str, *args: Any, **kwargs: Any) -> None:
        if self._experiment is not None:
            self._attempt(getattr(self._experiment, method), *args, **kwargs)

    def _attempt(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The call's result, or None when it fails: nothing of Comet's is worth a training run."""
        try:
            return call(*args, **kwargs)
        except Exception as error:
            if not self._warned:
                logger.warning(
                    "Comet failed and may miss data (metrics.csv has all): %s: %s",
                    type(error).__name__,
                    error,
                )
                self._warned = True
            return None


def _import_comet() -> Any:
    for name, value in _COMET_SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import comet_ml
    except ImportError as error:
        raise UserError(
            "writer=cometml needs the package comet_ml: run `pip install comet-ml`, "
            "or choose another writer."
        ) from error
    if "COMET_LOGGING_CONSOLE" not in os.environ:
        # Its own handler, not ours: it hides the API key in what it prints.
        for handler in logging.getLogger("comet_ml").handlers:
            handler.setLevel(logging.ERROR)
    return comet_ml


def _api_key() -> str | None:
    """From COMET_API_KEY or .comet.config; never asks."""
    from comet_ml.config import get_api_key, get_config

    return get_api_key(None, get_config())


def _server_answers() -> bool:
    """Asked first, since Comet itself retries for half a minute before it gives up."""
    from comet_ml.config import get_backend_address

    try:
        requests.get(get_backend_address(), timeout=_PROBE_SECONDS)
    except requests.RequestException:
        return False
    return True


def _run_config(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "config.yaml"
    return dict(yaml.safe_load(path.read_text())) if path.is_file() else {}


def _experiment_key(directory: Path) -> str:
    """The experiment's identity, kept in the run folder so that a resumed run goes on with it."""
    file = directory / "experiment_key.txt"
    if not file.exists():
        file.write_text(uuid.uuid4().hex)
    return file.read_text().strip()


def _experiment_config(comet_ml: Any, run_name: str, directory: Path) -> Any:
    """Only what the writer logs: the run folder already has code, git state and console log."""
    return comet_ml.ExperimentConfig(
        name=run_name,
        offline_directory=str(directory),
        log_code=False,
        log_graph=False,
        parse_args=False,
        log_git_metadata=False,
        log_git_patch=False,
        log_env_details=False,
        auto_output_logging=False,
        auto_param_logging=False,
        auto_metric_logging=False,
        auto_log_co2=False,
        display_summary_level=0,
    )
