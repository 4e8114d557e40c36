"""Where log lines go: terse ones to the terminal, dated ones to the run's `log.txt`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from tqdm import tqdm

_FILE_LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_TALKATIVE = ("filelock", "fsspec", "httpcore2", "httpx2", "matplotlib", "numba", "PIL", "urllib3")


def setup_logging(
    log_file: Path | str | None = None, is_main: bool = True, level: int | str = logging.INFO
) -> None:
    """Point the root logger at the terminal and at `log_file`; a second call replaces the first.

    The terminal (stderr) gets the bare message, with the level before it from WARNING on, and
    progress bars stay whole. The file is appended to, with time, level and logger's name.

    Of a run's other processes (`is_main` False) the terminal gets the warnings, the file nothing.
    """
    if not is_main:
        log_file, level = None, logging.WARNING
    console = TqdmHandler()
    console.setFormatter(ConsoleFormatter())
    handlers: list[logging.Handler] = [console]
    if log_file is not None:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(log_file, encoding="utf-8")
        file.setFormatter(logging.Formatter(_FILE_LINE, datefmt="%Y-%m-%d %H:%M:%S"))
        handlers.append(file)
    # force: Hydra has put its own handlers there, which would print every line twice.
    logging.basicConfig(level=level, handlers=handlers, force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


class TqdmHandler(logging.Handler):
    """Prints above running tqdm bars instead of through them."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


class ConsoleFormatter(logging.Formatter):
    """`message`, or `WARNING: message` where the reader should stop."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname}: {text}"
