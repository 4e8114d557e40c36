"""A notebook of the repository, executed or as it was kept."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
MACHINE_PATH = re.compile(r"(?<![\w.\])])/(?:home|root|tmp|work|mnt|usr|Users|opt|var)/")


def outputs(notebook: nbformat.NotebookNode) -> str:
    """All the text that a reader sees under the cells."""
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(o.get("text") or o.get("data", {}).get("text/markdown", "") for o in shown)


def execute(
    path: Path, settings: dict[str, str], unset: tuple[str, ...] = ()
) -> nbformat.NotebookNode:
    """Executed with these environment variables, from the repository's root."""
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(ROOT)}}
    client = NotebookClient(notebook, timeout=240, startup_timeout=120, resources=place)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {"OMP_NUM_THREADS": "1", **settings}.items():
            environment.setenv(name, value)  # one thread: trainings side by side would spin
        for name in unset:
            environment.delenv(name, raising=False)
        client.execute()
    return notebook


def pictures(notebook: nbformat.NotebookNode) -> int:
    return sum(
        "image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", [])
    )


def check_kept(path: Path) -> nbformat.NotebookNode:
    """Asserts that the kept outputs are of one run from top to bottom, small, and of no machine."""
    kept = nbformat.read(path, as_version=4)
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(o.output_type != "error" for cell in code for o in cell.outputs)
    seen = "\n".join(cell.source for cell in kept.cells) + outputs(kept)
    assert not MACHINE_PATH.search(seen)
    return kept
