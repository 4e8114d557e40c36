from pathlib import Path

import pytest
from matplotlib.image import imread

ROWS = """step,mode,loss,argmax/wer
50,train,3.0,
100,train,2.0,
100,val,2.5,0.9
200,train,1.0,
200,val,1.5,0.4
"""


@pytest.fixture
def run(tmp_path) -> Path:
    folder = tmp_path / "run_a"
    folder.mkdir()
    (folder / "metrics.csv").write_text(ROWS)
    return folder


def test_curves_are_those_of_the_file(load_script, run):
    script = load_script("plot_runs")
    rows = script.read_rows(run)
    assert script.curve(rows, "train", "loss", 0) == ([50, 100, 200], [3.0, 2.0, 1.0])
    assert script.curve(rows, "val", "argmax/wer", 1000) == ([1100, 1200], [0.9, 0.4])


def test_a_picture_of_two_runs_the_second_after_the_first(load_script, run_main, run, tmp_path):
    out = tmp_path / "figures" / "curves.png"
    code, printed, _ = run_main(load_script("plot_runs"), run, "--after", run, "-o", out)
    assert code == 0 and printed.strip() == str(out)
    assert imread(out).std() > 0.05
    svg = out.with_suffix(".svg")
    assert run_main(load_script("plot_runs"), run, run, "-o", svg)[0] == 0
    assert "<svg" in svg.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--metric", "beam/wer"], "has no beam/wer"), (["--after", "nowhere"], "is no run folder")],
)
def test_mistakes_are_one_sentence(load_script, run_main, run, tmp_path, arguments, message):
    out = tmp_path / "x.png"
    code, _, complaint = run_main(load_script("plot_runs"), run, *arguments, "-o", out)
    assert code == 2 and message in complaint and "Traceback" not in complaint
    assert not out.exists()
