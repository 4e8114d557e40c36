"""A file that is being replaced is whole whenever it is read, also after a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

from src.utils.atomic_file import write_text_atomically

LENGTH = 500_000


def _replace_for_ever(path: Path) -> None:
    for count in range(1_000_000):
        write_text_atomically(path, str(count % 10) * LENGTH)


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text_atomically(path, "x" * LENGTH)
    process = multiprocessing.get_context("fork").Process(
        target=_replace_for_ever, args=(path,), daemon=True
    )
    process.start()
    while path.read_text().startswith("x"):  # until the child is at work
        pass
    contents = [path.read_text() for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    contents.append(path.read_text())
    assert all(len(text) == LENGTH and len(set(text)) == 1 for text in contents)
