"""`python train.py ...` as a process of its own that starts in a fraction of a second.

Python's fork server imports the entry point once; each process is then a fork of it, with the
memory, signals and exit code of any other.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["train"])


def start_training(arguments: list[str], log: Path) -> ForkServerProcess:
    """A running training; what it prints is appended to `log`."""
    process = CONTEXT.Process(target=_train, args=(arguments, log))
    process.start()
    return process


def _train(arguments: list[str], log: Path) -> None:
    import torch

    multiprocessing.set_start_method("fork", force=True)  # for its workers, as in any training
    os.setsid()  # its process group is its own: it and its workers
    torch.set_num_threads(1)  # several such trainings share the cores
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.argv = ["train.py", *arguments]
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
