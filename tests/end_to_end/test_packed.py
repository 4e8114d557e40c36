"""A part is packed, its recordings are put away, and a training in a clean clone hears the pack."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_clean_clone_trains_from_a_pack_alone(tmp_path):
    clone, data = tmp_path / "clone", tmp_path / "data"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)

    def run(*command: object) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=clone,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    part = data / "LibriSpeech" / "spoken"
    layout = ("--layout", "librispeech", "--split", "train", "--size", 8)
    run("scripts/make_synthetic_corpus.py", part, *layout)
    assert "equal to the source bit by bit" in run("scripts/pack_dataset.py", part)
    shutil.rmtree(part)
    output = run(
        "train.py",
        *("-cn=onebatchtest", "datasets=onebatch_librispeech", "datasets.train.part=spoken"),
        *(f"data_dir={data}", "datasets.train.packed=true", f"save_dir={tmp_path}"),
    )
    assert "8 utterances from" in output
    summary = json.loads((tmp_path / "onebatchtest" / "summary.json").read_text())
    assert summary["val"]["argmax"]["wer"] == 0.0
