"""`beam_search_proof.ipynb`, executed afresh; its kept outputs, and that they give nothing away."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from scripts.benchmark_decoding import CONTENDERS

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "beam_search_proof.ipynb"
MACHINE_PATH = re.compile(r"(?<![\w.\])])/(?:home|root|tmp|work|mnt|usr|Users|opt|var)/")


def outputs(notebook):
    """All the text that a reader sees under the cells."""
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(o.get("text") or o.get("data", {}).get("text/markdown", "") for o in shown)


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
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(ROOT)}}
    client = NotebookClient(notebook, timeout=240, startup_timeout=120, resources=place)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PROOF_QUICK", "1")
        environment.setenv("OMP_NUM_THREADS", "1")  # two trainings on two cores would spin
        environment.setenv("PROOF_SAVE_DIR", str(folder / "saved"))
        environment.setenv("PROOF_DATA_DIR", str(folder / "data"))
        for name in ("REAL_RUN", "REAL_DATA", "REAL_LM"):
            environment.delenv(name, raising=False)
        client.execute()
    return notebook


def test_the_notebook_runs_from_nothing_and_its_claims_hold(executed):
    text = outputs(executed)
    check_facts(text)
    assert "trained for" in text
    assert "skipped: REAL_RUN, REAL_DATA and REAL_LM" in text
    assert "**Right.**" in text


def test_the_kept_outputs_are_of_one_run_from_top_to_bottom(executed):
    kept = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(o.output_type != "error" for cell in code for o in cell.outputs)
    check_facts(outputs(kept))
    pictures = sum("image/png" in o.get("data", {}) for cell in code for o in cell.outputs)
    executed_pictures = sum(
        "image/png" in o.get("data", {}) for cell in executed.cells for o in cell.get("outputs", [])
    )
    assert pictures == executed_pictures > 4


def test_the_kept_notebook_is_small_and_names_no_place_of_a_machine():
    assert NOTEBOOK.stat().st_size < 600_000
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    seen = "\n".join(cell.source for cell in notebook.cells) + outputs(notebook)
    assert not MACHINE_PATH.search(seen)
