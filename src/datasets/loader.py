"""A DataLoader for a process that finishes its step before it obeys a signal."""

from __future__ import annotations

from typing import Any

from torch.utils.data import DataLoader, Dataset

from src.utils.interruption import leave_signals_to_the_main_process, signals_held


class UninterruptedLoader(DataLoader):
    """Its workers outlive the SIGTERM and SIGINT that a terminal or Slurm sends to all processes.

    Torch's own die of them, and torch then raises in the main process wherever that is.
    """

    def __init__(self, dataset: Dataset, **options: Any) -> None:
        super().__init__(dataset, worker_init_fn=leave_signals_to_the_main_process, **options)

    def __iter__(self) -> Any:
        with signals_held():  # until each worker, which inherits this, has made its arrangements
            return super().__iter__()
