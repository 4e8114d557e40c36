"""How many things this process can do at once."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may run on (`taskset`, batch systems), where the system says so.

    The processes that `torchrun` starts on a machine share its cores.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
