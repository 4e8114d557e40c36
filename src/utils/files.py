"""What lies in a folder, at any depth."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path


def scan_files(folder: Path, dangling: list[str] | None = None) -> dict[str, os.stat_result]:
    """Path relative to `folder` -> `stat` of each file, sorted; hidden names are passed over.

    Symbolic links are followed, a folder that is reached twice is read once. Links to nothing or
    to themselves are put into `dangling`, where one wants to know of them.
    """
    files: dict[str, os.stat_result] = {}
    seen_folders: set[tuple[int, int]] = set()

    def scan(path: str, prefix: str) -> None:
        status = Path(path).stat()
        if (status.st_dev, status.st_ino) in seen_folders:
            return
        seen_folders.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    if entry.is_dir():
                        scan(entry.path, f"{prefix}{entry.name}/")
                    elif entry.is_file():
                        files[prefix + entry.name] = entry.stat()
                    elif dangling is not None and not Path(entry.path).exists():
                        dangling.append(prefix + entry.name)
                except OSError as error:
                    if error.errno != errno.ELOOP:
                        raise
                    if dangling is not None:
                        dangling.append(prefix + entry.name)

    scan(str(folder), "")
    return dict(sorted(files.items()))


def fingerprint(files: dict[str, os.stat_result]) -> str:
    """Hash of names, sizes and modification times; changes when a file does."""
    digest = hashlib.sha256()
    for name, status in files.items():
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="replace"))
    return digest.hexdigest()


def is_writable(folder: Path) -> bool:
    """Whether files may be made in `folder`; its mode bits bind the superuser as well, so that
    a data folder that was made read-only stays as it is."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)
