"""Two short recordings through the script, and the times that it makes of a talk's messages."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile


def test_two_at_once(run_script, run_dir, tmp_path):
    for name, seconds in (("a", 2.0), ("b", 1.3)):
        samples = np.random.default_rng(0).normal(0, 0.1, int(16000 * seconds))
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000)
    out = tmp_path / "figures" / "out.json"
    audio = [tmp_path / "a.wav", tmp_path / "b.wav"]
    done = run_script(
        "benchmark_streaming.py", run_dir, *audio, "--streams", "2", "--cores", "1", "--json", out
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert figures["recordings"] == 4
    assert figures["seconds"] == pytest.approx(6.6)
    for name in ("chunk_to_text", "step_to_text", "final"):
        times = figures[name]
        assert 0 < times["p50"] <= times["p95"] <= times["max"]
    assert 0 < figures["core_seconds_a_second"] < 10
    # a chunk also waits for its step, of half a second
    assert figures["chunk_to_text"]["p50"] > figures["step_to_text"]["p50"]
    assert "4 recordings, 7 s, 2 at once, argmax; " in done.stdout


def test_percentiles(load_script):
    script = load_script("benchmark_streaming")
    found = script.percentiles([n / 1000 for n in range(101)])
    assert found == pytest.approx({"p50": 50, "p95": 95, "max": 100, "count": 101})
