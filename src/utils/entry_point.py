"""What a person sees when a command cannot go on: one sentence, no traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from src.utils.disk import is_full
from src.utils.errors import EXIT_USER_ERROR, UserError
from src.utils.interruption import EXIT_INTERRUPTED, Interrupted


def entry_point(main: Callable[..., int | float]) -> Callable[..., float | None]:
    """Wraps a main function, which returns an exit code or, a float, what a sweep minimises.

    User errors, a full disk, and mistakes in the config that Hydra finds on building an object,
    are printed as `error: ...` with exit code 2; an interrupted run that can be resumed leaves
    with 75. Any other exception is a defect and keeps its traceback.
    A job of a multirun raises its error instead: one failed trial need not end a sweep.
    """

    @functools.wraps(main)
    def run(*args: object, **kwargs: object) -> float | None:
        try:
            result = main(*args, **kwargs)
        except KeyboardInterrupt:
            sys.exit("interrupted")
        except Interrupted:
            sys.exit(EXIT_INTERRUPTED)
        except (UserError, InstantiationException, OmegaConfBaseException) as error:
            if _in_multirun():
                raise
            print(f"error: {_sentence(error)}", file=sys.stderr)
            sys.exit(EXIT_USER_ERROR)
        except OSError as error:
            if not is_full(error):
                raise
            print(f"error: {error.strerror}: {error.filename}; make room", file=sys.stderr)
            sys.exit(EXIT_USER_ERROR)
        if isinstance(result, float):
            return result
        if result:
            sys.exit(result)
        return None

    return run


def _in_multirun() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _sentence(error: BaseException) -> str:
    """The user's error at the root of Hydra's wrapping, or Hydra's own words on one line."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            # one raised in a DataLoader's worker comes with the worker's traceback before it
            return str(cause).strip().rpartition("UserError: ")[2]
        if isinstance(cause, MissingMandatoryValue):
            return f"{cause.full_key} must be given: {cause.full_key}=..."
        cause = cause.__cause__
    return " ".join(str(error).split())
