import json

import pytest
import torch

from src.metrics import word_errors
from src.trainer import Transcriber


def test_chapters_in_windows_and_utterances_as_they_are(
    load_script, run_main, run_dir, corpus, tmp_path
):
    out = tmp_path / "figures" / "out.json"
    code, printed, complaint = run_main(
        *(load_script("benchmark_windows"), run_dir, "--data", corpus, "--json", out),
        *("--windows", "0", "2:0.5", "60", "--device", "cpu"),
    )
    assert code == 0, complaint
    assert "1 chapters" in printed
    content = json.loads(out.read_text())
    whole, _, one = content["results"]
    assert content["audio_seconds"] == pytest.approx(3 * 20000 / 16000)
    assert [row["window_seconds"] for row in content["results"]] == [0, 2, 60]
    assert [row["overlap_seconds"] for row in content["results"]] == [0, 0.5, 12]

    script = load_script("benchmark_windows")
    [items] = script.chapters(corpus, 16000, None)
    reference = " ".join(item["text"] for item in items)
    assert reference == "she had found a ticket elizabeth was working i"
    transcriber = Transcriber.from_pretrained(run_dir, device="cpu")
    texts = [transcriber(item["audio"], 16000).text for item in items]
    assert whole["wer"] == pytest.approx(word_errors(reference, " ".join(texts)).rate)
    joined = transcriber(torch.cat([item["audio"] for item in items]), 16000).text
    assert one["wer"] == pytest.approx(word_errors(reference, joined).rate)


def test_overlaps_that_have_no_middle_are_refused(load_script, run_main, run_dir, corpus, tmp_path):
    code, _, complaint = run_main(
        *(load_script("benchmark_windows"), run_dir, "--data", corpus, "--json", tmp_path / "x"),
        *("--windows", "10:9"),
    )
    assert code == 2 and "use 0.4 to half of window_seconds=10" in complaint
