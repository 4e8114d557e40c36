"""A minute through the script: what it prints and writes, and the sizes it claims."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile


def test_a_minute(run_script, run_dir, tmp_path):
    out = tmp_path / "figures" / "out.json"
    settings = ["--hours", "0.01", "--rate", "8000", "--channels", "2", "--json", out]
    done = run_script("benchmark_long_recording.py", run_dir, *settings)
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert figures["file_mib"] == pytest.approx(60 * 8000 * 2 * 2 / 2**20, rel=0.01)
    assert 200 < figures["peak_mib"] < 4096  # PyTorch alone takes that much
    assert figures["real_time_factor"] == pytest.approx(figures["seconds"] / 60, rel=0.01)
    assert "0.01 h at 8000 Hz, 2 channels (2 MiB): peak" in done.stdout


def test_the_recording_is_as_long_as_asked_and_is_no_silence(load_script, tmp_path):
    script = load_script("benchmark_long_recording")
    script.write_recording(tmp_path / "a.wav", hours=1 / 30, rate=8000, channels=1)
    audio, rate = soundfile.read(tmp_path / "a.wav")
    assert (len(audio), rate) == (2 * 60 * 8000, 8000)
    assert np.abs(audio[: 60 * 8000] - audio[60 * 8000 :]).max() > 0.1  # each minute another tone
