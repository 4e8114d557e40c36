"""The benchmark on a minute of noise, which FLAC cannot compress: what it writes, and who wins."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark_data.py"


def test_flac_and_packed_are_compared(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "tiny" / "1" / "2"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(12):
        soundfile.write(folder / f"1-2-{number:04d}.wav", rng.uniform(-1, 1, 80000), 16000)
    lines = [f"1-2-{number:04d} TEXT\n" for number in range(12)]
    (folder / "1-2.trans.txt").write_text("".join(lines))
    out = tmp_path / "out.json"
    arguments = [tmp_path / "tiny", "--json", out, "--workers", 1, "--batch-seconds", 20]
    arguments += ["--rounds", 1, "--hours", 50 / 3600, "--pace", 0.1, "--work", tmp_path / "new"]
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")

    content = json.loads(out.read_text())
    assert content["settings"]["hours"] == pytest.approx(50 / 3600)
    results = {
        (row["what"], row.get("form"), row.get("workers"), row.get("cache")): row
        for row in content["results"]
    }
    assert results.keys() == {
        ("packing", None, None, None),
        *(("reading", form, None, c) for form in ("flac", "packed") for c in ("warm", "cold")),
        *(("loading", form, n, "warm") for form in ("flac", "packed") for n in (0, 1)),
        *(("feeding", form, 1, "warm") for form in ("flac", "packed")),
    }
    speed = {form: results["reading", form, None, "warm"] for form in ("flac", "packed")}
    assert speed["packed"]["hours_per_second"] > 2 * speed["flac"]["hours_per_second"]
    assert 0 <= results["feeding", "packed", 1, "warm"]["data_wait_share"] < 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"tiny", "tiny.index.jsonl", "out.json", "new"}
    assert not list((tmp_path / "new").iterdir())
    assert "reading    packed" in capsys.readouterr().out
