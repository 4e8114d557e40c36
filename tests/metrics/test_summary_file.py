"""`summary.json` over several evaluations, and after somebody's editor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from src.metrics.summary_file import update_summary


def test_one_split_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "run" / "summary.json"
    update_summary(path, "dev", {"argmax": {"wer": 0.5}, "beam": {"wer": 0.4}})
    update_summary(path, "test", {"argmax": {"wer": 0.6}})
    update_summary(path, "dev", {"argmax": {"wer": 0.3}})
    assert json.loads(path.read_text()) == {
        "dev": {"argmax": {"wer": 0.3}},
        "test": {"argmax": {"wer": 0.6}},
    }
    assert [file.name for file in path.parent.iterdir()] == ["summary.json"]


@pytest.mark.parametrize("content", [b'{"dev": {"argm', b"[1, 2]", b"\xff\xfe"])
def test_an_unreadable_file_is_kept_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(content)
    update_summary(path, "test", {"argmax": {"wer": 0.1}})
    assert json.loads(path.read_text()) == {"test": {"argmax": {"wer": 0.1}}}
    assert (tmp_path / "summary.json.bak").read_bytes() == content
    assert "summary.json.bak" in caplog.text


def test_a_summary_that_is_not_json_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    update_summary(path, "dev", {"argmax": {"wer": 0.5}})
    with pytest.raises(TypeError):
        update_summary(path, "test", {"argmax": {"wer": object()}})
    assert json.loads(path.read_text()) == {"dev": {"argmax": {"wer": 0.5}}}
