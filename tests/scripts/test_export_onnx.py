"""Export and benchmark through their commands."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("onnx", reason="needs onnx: pip install onnx onnxruntime")
pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnx onnxruntime")


@pytest.fixture
def run(run_dir, tmp_path):
    return shutil.copytree(run_dir, tmp_path / "run")


def test_export_then_benchmark(run_main, load_script, run, corpus, tmp_path):
    export, benchmark = load_script("export_onnx"), load_script("benchmark_backends")
    code, printed, complaint = run_main(export, run, "--int8")
    assert code == 0, complaint
    assert [line.split(":")[0] for line in printed.splitlines()] == [
        str(run / "onnx" / name) for name in ("model.onnx", "model.int8.onnx")
    ]
    assert "within" in printed

    out = tmp_path / "figures/out.json"
    options = ("--data", corpus, "--json", out, "--threads", 1, "--rounds", 3)
    code, printed, complaint = run_main(benchmark, run, *options)
    assert code == 0, complaint
    results = json.loads(out.read_text())["results"]
    assert list(results) == ["torch", "onnx", "onnx_int8"]
    for name, found in results.items():
        assert f"| {name} | {found['real_time_factor']:.5f} |" in printed
        assert len(found["rounds"]) == 3
        assert found["cpu_seconds_a_second"] > 0
        assert min(found["rounds"]) <= found["real_time_factor"] <= max(found["rounds"])
        assert found["utterances"] == 3
        assert found["wer_interval"][0] <= found["wer"] <= found["wer_interval"][1]
    assert results["onnx"]["wer"] == results["torch"]["wer"]
    assert results["onnx"]["largest_difference"] < 1e-3 < results["onnx_int8"]["largest_difference"]
    size = (run / "checkpoints/best/model.safetensors").stat().st_size
    assert results["torch"]["megabytes"] == size / 1e6


def test_mistakes_are_one_sentence(run_script, run_main, load_script, run, corpus, tmp_path):
    done = run_script("export_onnx.py", tmp_path / "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no checkpoint in")
    assert done.stderr.count("\n") == 1
    benchmark = load_script("benchmark_backends")
    code, _, complaint = run_main(benchmark, run, "--data", corpus, "--json", tmp_path / "o")
    assert code == 2
    assert "model.onnx does not exist; write it with python scripts/export_onnx.py" in complaint
    code, _, complaint = run_main(
        benchmark, run, "--data", corpus, "--json", tmp_path / "o", "--rounds", 0
    )
    assert code == 2
    assert "--rounds is 0: use 1 or more" in complaint
