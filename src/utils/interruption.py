"""Being asked to stop (Ctrl-C, Slurm's pre-emption) without losing what was computed.

with Interruption() as interruption:
    for step in range(steps):
        ...
        interruption.check()     # raises Interrupted once SIGTERM or SIGINT has come
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

# EX_TEMPFAIL of sysexits.h, "try again later": a queue can tell it from a failure (1 a defect,
# 2 the user's mistake) and from a process that a signal killed (128 + n)
EXIT_INTERRUPTED = 75
NOTICE = b"\nfinishing the step and writing a checkpoint; Ctrl-C again stops at once\n"


class Interrupted(Exception):
    """Everything is saved and the process is to leave with `EXIT_INTERRUPTED`."""


class Interruption:
    """Within it SIGTERM and SIGINT are remembered instead of obeyed; a second SIGINT kills.

    A second SIGTERM changes nothing (Slurm and a launcher may both send one), and under `torchrun`
    nor does a second SIGINT, since torchrun passes on what the terminal has sent already.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def check(self, agree: Callable[[bool], bool] = bool) -> None:
        """Raises `Interrupted` if a signal has come; `agree` asks the run's other processes."""
        if agree(self.signal is not None):
            name = self.signal.name if self.signal else "a signal to another process of the run"
            raise Interrupted(f"stopped by {name}")

    def __enter__(self) -> Interruption:
        # only the main thread may; elsewhere (a notebook's, a launcher's) signals are not ours
        main = threading.current_thread() is threading.main_thread()
        self._before = {
            number: signal.signal(number, self._remember)
            for number in (signal.SIGTERM, signal.SIGINT)
            if main
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, signal.Signals(number)
        if number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if first and number == signal.SIGINT:
            os.write(2, NOTICE)  # print and logging are not safe in a signal's handler


@contextmanager
def signals_held() -> Iterator[None]:
    """Inside, SIGTERM and SIGINT wait; a process that is forked here starts with them waiting."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_the_main_process(worker: int) -> None:
    """`worker_init_fn` of a DataLoader: its workers go on until the main process lets them go.

    A terminal and a batch system signal every process of a job. Workers that died of it would
    take the step in progress with them. A SIGTERM from the main process still ends them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):  # macOS
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_obey_parent_only, args=(os.getppid(),), daemon=True).start()


def _obey_parent_only(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
