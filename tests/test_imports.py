"""Imports point one way (DESIGN: entry points, trainer, rooms, text_encoder and utils)."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
MAY_IMPORT = {
    "app": {"decoding", "text_encoder", "trainer", "transforms", "utils"},
    "trainer": {
        *("datasets", "transforms", "model", "loss", "decoding", "metrics", "logger"),
        *("report", "text_encoder", "utils"),
    },
    "datasets": {"text_encoder", "utils"},
    "transforms": {"utils"},
    "model": {"utils"},
    "loss": {"utils"},
    "decoding": {"text_encoder", "utils"},
    "metrics": {"utils"},
    "report": {"metrics", "utils"},
    "logger": {"utils"},
    "text_encoder": {"utils"},
    "utils": set(),
}


def imported_rooms(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("src.")}


def test_every_room_is_known():
    assert {path.name for path in SRC.iterdir() if (path / "__init__.py").exists()} == set(
        MAY_IMPORT
    )


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_point_one_way(room):
    for path in (SRC / room).rglob("*.py"):
        foreign = imported_rooms(path) - {room} - MAY_IMPORT[room]
        assert not foreign, f"{path.relative_to(SRC)} imports {foreign}"
