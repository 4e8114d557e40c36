"""How many things this process can do at once."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may run on (`taskset`, batch systems), where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
