"""What Hydra finds wrong in a command, in one sentence with the nearest right name."""

from __future__ import annotations

import difflib
import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.utils.errors import EXIT_USER_ERROR, UserError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
QUOTING = "text with commas, brackets or apostrophes wants quotes: 'key=\"Ann, 1\"'"


def refuse_bad_overrides(command: Callable[[], None]) -> Callable[[], None]:
    """Wraps `hydra.main`: a command that cannot be composed is `error: ...` and exit code 2.

    So is what a job of a multirun raised, where its sweeper does not go on without it.
    """

    @functools.wraps(command)
    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of printing them
        try:
            command()
        except (HydraException, OmegaConfBaseException) as error:
            print(f"error: {_sentence(error)}", file=sys.stderr)
            sys.exit(EXIT_USER_ERROR)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(EXIT_USER_ERROR)

    return run


def _sentence(error: HydraException | OmegaConfBaseException) -> str:
    """The sentence for an error of Hydra's composition; its own first line where none is better."""
    if isinstance(error, OverrideParseException):
        if "=" not in error.override:
            return f"{error.override} has no value: write {error.override}=..., see --help"
        return f"{error.override} cannot be parsed; {QUOTING}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_file(error.missing_cfg_file, error.options or [])
    first_line = str(error).splitlines()[0]
    if again := re.match(r"Multiple values for (\S+)\.|(\S+) appears more than once", first_line):
        group = again[1] or again[2]
        return f"{group} is chosen already: write {group}=... without +"
    unknown = re.match(r"Could not override '([^']+)'", first_line)
    if not unknown:
        return f"{first_line.rstrip('.')}; see --help"
    names = list(_names(_whole_config(error.__cause__)))
    return f"there is no setting {unknown[1]}{did_you_mean(unknown[1], names) or '; see --help'}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean NAME?` for the nearest of `names`, or nothing where none is near."""
    names = list(names)
    inside = [known for known in names if known.endswith(f".{name}")]
    near = inside or difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _no_such_file(name: str, choices: Sequence[str]) -> str:
    group, _, choice = name.rpartition("/")
    command = f"{group}={choice}" if group else f"-cn={choice}"
    choices = choices or sorted({path.stem for path in (CONFIGS / group).glob("*.yaml")} - {"run"})
    known = f" There are {', '.join(choices)}." if choices else ""
    return f"there is no {command}{did_you_mean(choice, choices) or '.'}{known}"


def _whole_config(error: BaseException | None) -> Any:
    """The config that an override was refused by, as plain dicts."""
    node = error.parent_node if isinstance(error, OmegaConfBaseException) else None
    return OmegaConf.to_container(node._get_root()) if isinstance(node, DictConfig) else {}


def _names(config: Any, prefix: str = "") -> Iterator[str]:
    """`a`, `a.b`, `a.b.c` ... of every setting."""
    if isinstance(config, dict):
        for key, value in config.items():
            yield f"{prefix}{key}"
            yield from _names(value, f"{prefix}{key}.")
