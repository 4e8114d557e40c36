"""The command as a person runs it; `kenlm` reads what it wrote."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import kenlm
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "train_lm.py"
GRAMMAR = ROOT / "tests" / "decoding" / "fixtures" / "grammar.txt"


def train_lm(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """In this process, since starting one takes seconds."""
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_text_on_standard_input_to_a_model_that_kenlm_reads(tmp_path):
    path = tmp_path / "lm.arpa.gz"
    arguments = ["-", "--order", 4, "--prune", 0, 0, 1, "--min-count", 2, "-o", path]
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    with GRAMMAR.open() as text:
        done = subprocess.run(command, stdin=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "90 sentences" in done.stdout
    model = kenlm.Model(str(path))
    assert model.order == 4
    assert "the" in model
    fluent, scrambled = "the doctor watched her", "watched her the doctor"
    assert model.score(fluent) > model.score(scrambled)


def test_vocabulary_of_the_most_frequent_words(tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("often often often\nsometimes sometimes\nrarely\n")
    train_lm(monkeypatch, text, "--order", 2, "--vocab-size", 2, "-o", tmp_path / "lm.arpa")
    model = kenlm.Model(str(tmp_path / "lm.arpa"))
    assert ["often" in model, "sometimes" in model, "rarely" in model] == [True, True, False]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["missing.txt", "-o", "lm.arpa"], "cannot read the text missing.txt"),
        ([GRAMMAR, "-o", "missing/lm.arpa"], "no folder missing"),
        ([GRAMMAR, "--order", 2, "--prune", 0, 0, 1, "-o", "lm.arpa"], "3 pruning thresholds"),
        ([GRAMMAR, "--vocab-size", 0, "-o", "lm.arpa"], "take a number from 1 up"),
    ],
)
def test_mistakes_end_in_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        train_lm(monkeypatch, *arguments)
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert sentence in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
