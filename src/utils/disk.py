"""Files that outlast a power cut, and disks that are full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def sync_folder(folder: Path) -> None:
    """Waits until the names in `folder` are on the disk (a file's own fsync leaves them out)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_error(error: BaseException) -> OSError | None:
    """The system's own error behind one of a library's, which may have been raised over it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause


def is_full(error: OSError) -> bool:
    """Whether there was no room: a full disk, a used-up quota, a file-size limit."""
    return error.errno in _FULL
