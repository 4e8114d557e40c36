"""`beam_search_proof.ipynb`, executed afresh; its kept outputs, and that they give nothing away."""

import re

import pytest

from scripts.benchmark_decoding import CONTENDERS
from tests.end_to_end.notebooks import ROOT, check_kept, execute, outputs, pictures

NOTEBOOK = ROOT / "beam_search_proof.ipynb"


def check_facts(text):
    """What the notebook claims, read from what it shows."""
    without, with_lm = (
        (int(compared), float(difference))
        for compared, difference in re.findall(r"(\d+) texts, largest difference (\S+)", text)
    )
    assert without[0] > 500
    assert without[1] < 1e-9  # double precision
    assert with_lm[0] > 300
    assert with_lm[1] < 1e-5  # KenLM's is single
    assert "argmax:       'ab', 0.100\nbeam_search:  'a', 0.318" in text
    rows = re.findall(r"^\| `(\w+)` \|[\s\d]*\| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)
    for name in CONTENDERS:
        assert sum(row[0] == name for row in rows) >= 2, f"{name}: on simulated and on real audio"
    assert all(float(ms) > 0 for _, _, ms in rows)
    simulated = {name: float(wer) for name, wer, _ in reversed(rows)}
    assert simulated["beam_search_lm"] < simulated["argmax"] / 2


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The small setting, in an empty place: nothing that an earlier run left is used."""
    folder = tmp_path_factory.mktemp("proof")
    settings = {
        "PROOF_QUICK": "1",
        "PROOF_SAVE_DIR": str(folder / "saved"),
        "PROOF_DATA_DIR": str(folder / "data"),
    }
    return execute(NOTEBOOK, settings, unset=("REAL_RUN", "REAL_DATA", "REAL_LM"))


def test_the_notebook_runs_from_nothing_and_its_claims_hold(executed):
    text = outputs(executed)
    check_facts(text)
    assert "trained for" in text
    assert "skipped: REAL_RUN, REAL_DATA and REAL_LM" in text
    assert "**Right.**" in text


def test_the_kept_outputs_are_of_one_run_from_top_to_bottom(executed):
    kept = check_kept(NOTEBOOK)
    check_facts(outputs(kept))
    assert pictures(kept) == pictures(executed) > 4
    assert NOTEBOOK.stat().st_size < 600_000
