"""Whether anybody opens a file, as the kernel tells it (Linux): C libraries too."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

IN_OPEN = 0x20


class OpenWatch:
    """with OpenWatch(path) as watch: ...; watch.opened()"""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> OpenWatch:
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK)
        assert self.descriptor >= 0, os.strerror(ctypes.get_errno())
        watch = libc.inotify_add_watch(self.descriptor, os.fsencode(self.path), IN_OPEN)
        assert watch >= 0, os.strerror(ctypes.get_errno())
        return self

    def opened(self) -> bool:
        try:
            return bool(os.read(self.descriptor, 4096))
        except BlockingIOError:
            return False

    def __exit__(self, *error: object) -> None:
        os.close(self.descriptor)
