"""`demo.ipynb`, executed afresh; its kept outputs, and that they give nothing away."""

import re

import pytest

from tests.end_to_end.notebooks import ROOT, check_kept, execute, outputs, pictures

NOTEBOOK = ROOT / "demo.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The small setting, in an empty place: nothing that an earlier run left is used."""
    folder = tmp_path_factory.mktemp("demo")
    settings = {
        "DEMO_QUICK": "1",
        "DEMO_SAVE_DIR": str(folder / "saved"),
        "DEMO_DATA_DIR": str(folder / "data"),
    }
    notebook = execute(NOTEBOOK, settings, unset=("DEMO_MODEL", "DEMO_FILE"))
    assert (folder / "data" / "transcripts" / "test" / "report.html").is_file()
    return notebook


def decoders(text):
    """WER in per cent by decoder, from the table that the notebook shows."""
    return {
        name: float(wer)
        for name, wer in re.findall(
            r"^\| `(\w+)` \| ([\d.]+) \| [\d.]+ - [\d.]+ \|", text, re.MULTILINE
        )
    }


def test_it_runs_from_nothing(executed):
    text = outputs(executed)
    assert "trained for" in text
    assert decoders(text).keys() == {"argmax", "beam_search", "pyctcdecode_lm", "beam_search_lm"}
    assert re.search(r"argmax against beam_search_lm: [+-][\d.]+ points .* p [=<] [\d.]+", text)


def test_the_kept_outputs_are_of_one_run_from_top_to_bottom(executed):
    kept = check_kept(NOTEBOOK)
    wer = decoders(outputs(kept))
    assert wer["beam_search_lm"] < wer["argmax"] / 2
    assert pictures(kept) == pictures(executed) >= 1
    assert NOTEBOOK.stat().st_size < 1_500_000
