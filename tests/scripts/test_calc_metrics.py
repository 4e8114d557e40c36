"""The command against jiwer's and sclite's own counts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import jiwer
import pytest

from src.metrics import paired_bootstrap, word_errors
from src.metrics.transcript_files import read_transcripts

SCLITE = Path(__file__).parents[1] / "metrics" / "fixtures" / "sclite"
EDITS = ("hits", "substitutions", "deletions", "insertions")


@pytest.fixture(scope="module")
def calc_metrics(load_script):
    return load_script("calc_metrics")


@pytest.fixture
def texts(tmp_path) -> dict[str, Path]:
    """ref, a, b: 40 utterances each, as Kaldi's text; b is the worse recogniser."""
    rng = random.Random(3)
    said = {f"u{n:02d}": rng.choices("abcdefgh", k=rng.randint(1, 12)) for n in range(40)}

    def heard(words: list[str], error: float) -> list[str]:
        return [
            word
            for said_word in words
            for word in (
                rng.choices("abcdefgh", k=rng.randrange(3)) if rng.random() < error else [said_word]
            )
        ]

    sets = {
        "ref": said,
        "a": {name: heard(words, 0.15) for name, words in said.items()},
        "b": {name: heard(words, 0.4) for name, words in said.items()},
    }
    for name, lines in sets.items():
        text = "".join(f"{key} {' '.join(words)}\n" for key, words in lines.items())
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in sets}


def test_counts_and_rates_are_jiwers(calc_metrics, run_main, texts, tmp_path):
    code, printed, _ = run_main(
        calc_metrics, texts["ref"], texts["a"], "--json", tmp_path / "out" / "a.json"
    )
    assert code == 0
    [system] = json.loads((tmp_path / "out" / "a.json").read_text())["systems"]
    pair = [
        [record["text"] for record in read_transcripts(texts[name], "reference").values()]
        for name in ("ref", "a")
    ]
    words, characters = jiwer.process_words(*pair), jiwer.process_characters(*pair)
    assert [system[kind] for kind in EDITS[1:]] == [getattr(words, kind) for kind in EDITS[1:]]
    assert (system["wer"], system["cer"]) == pytest.approx((words.wer, characters.cer))
    wrong = sum(a != b for a, b in zip(*pair))
    assert system["sentence_error_rate"] == wrong / 40
    assert system["wer_interval"][0] < words.wer < system["wer_interval"][1]
    assert "40 utterances" in printed and f"{100 * words.wer:.2f}" in printed


def test_errors_are_sclites_where_most_words_are_right(calc_metrics, run_main, tmp_path):
    """sclite's alignment is the cheapest with 4 for a substitution and 3 for the others, ours has
    the fewest errors: sclite never has fewer, and more only where a text is mostly wrong."""
    lines = (SCLITE / "counts.txt").read_text().splitlines()
    theirs = {
        name: dict(zip(EDITS, map(int, counts)))
        for name, *counts in (line.split() for line in lines if not line.startswith("#"))
    }
    said, heard = (read_transcripts(SCLITE / f"{name}.trn", "reference") for name in ("ref", "hyp"))
    assert said.keys() == heard.keys() == theirs.keys()
    alike = 0
    for name, counts in theirs.items():
        ours = word_errors(said[name]["text"], heard[name]["text"])
        more = sum(counts[kind] for kind in EDITS[1:]) - ours.errors
        assert more == (1 if name.startswith("far") else 0), name
        assert ours.reference_length == sum(counts[kind] for kind in EDITS[:3])
        alike += all(getattr(ours, kind) == counts[kind] for kind in EDITS)
    assert alike == 56  # of 60; of the other four only the kinds of errors differ

    out = tmp_path / "out.json"
    run_main(calc_metrics, SCLITE / "ref.trn", SCLITE / "hyp.trn", "--raw", "--json", out)
    [system] = json.loads(out.read_text())["systems"]
    # sclite's own sum: 63 sentences, 439 words, 111 errors, 35 sentences with an error
    assert (system["utterances"], system["words"]) == (63, 439)
    assert system["wer"] == (111 - 3) / 439 and system["sentence_error_rate"] == 35 / 63


def test_two_systems_are_compared_utterance_by_utterance(calc_metrics, run_main, texts, tmp_path):
    out = tmp_path / "out.json"
    code, printed, _ = run_main(calc_metrics, texts["ref"], texts["a"], texts["b"], "--json", out)
    assert code == 0 and "points of WER" in printed and "p < 0.001" in printed
    result = json.loads(out.read_text())
    first, second = result["systems"]
    assert result["difference"]["wer"] == pytest.approx(second["wer"] - first["wer"])
    said, a, b = (
        [record["text"] for record in read_transcripts(texts[name], "reference").values()]
        for name in ("ref", "a", "b")
    )
    expected = paired_bootstrap(
        [word_errors(*pair).errors for pair in zip(said, a)],
        [word_errors(*pair).errors for pair in zip(said, b)],
        [len(text.split()) for text in said],
    )
    assert result["difference"]["p_value"] == expected.p_value

    _, printed, _ = run_main(calc_metrics, texts["ref"], texts["a"], texts["a"])
    assert "+0.00 points" in printed and "p = 1.0000" in printed


def test_text_is_normalised_unless_raw(calc_metrics, run_main, tmp_path):
    (tmp_path / "ref").write_text("a The café, he said.\n")
    (tmp_path / "hyp").write_text("a the cafe he  said\n")
    wer = {}
    for name, options in {"normalised": [], "raw": ["--raw"]}.items():
        out = tmp_path / f"{name}.json"
        run_main(calc_metrics, tmp_path / "ref", tmp_path / "hyp", "--json", out, *options)
        wer[name] = json.loads(out.read_text())["systems"][0]["wer"]
    assert wer == {"normalised": 0.0, "raw": 0.75}


def test_missing_ones_are_deletions_and_extra_ones_are_ignored(calc_metrics, run_main, tmp_path):
    (tmp_path / "ref").write_text("a one two\nb three four five\nc\n")
    (tmp_path / "hyp").write_text("a one two\nz nobody said this\n")
    out = tmp_path / "out.json"
    code, printed, _ = run_main(calc_metrics, tmp_path / "ref", tmp_path / "hyp", "--json", out)
    assert code == 0
    assert "2 utterances of 3 missing, counted as deletions (b, c)" in printed
    assert "1 without a reference, ignored" in printed
    [system] = json.loads(out.read_text())["systems"]
    assert (system["deletions"], system["words"], system["insertions"]) == (3, 5, 0)
    assert (system["missing"], system["extra"], system["sentence_error_rate"]) == (2, 1, 1 / 3)


def test_names_in_folders_meet_plain_names(calc_metrics, run_main, tmp_path):
    for name in ("x/a", "y/b"):
        (tmp_path / "refs" / name).parent.mkdir(parents=True)
        (tmp_path / "refs" / f"{name}.txt").write_text("one two")
    (tmp_path / "hyp.trn").write_text("one two (a)\none (b)\n")
    out = tmp_path / "out.json"
    run_main(calc_metrics, tmp_path / "refs", tmp_path / "hyp.trn", "--json", out)
    [system] = json.loads(out.read_text())["systems"]
    assert (system["wer"], system["missing"]) == (0.25, 0)


def test_a_report_on_request(calc_metrics, run_main, texts, tmp_path):
    page = tmp_path / "pages" / "report.html"
    code, printed, _ = run_main(calc_metrics, texts["ref"], texts["a"], "--html", page)
    assert code == 0 and str(page) in printed
    assert '"id":"u39"' in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("ref", "hyp", "sentence"),
    [
        ("a\nb\n", "a x\n", "ref has no word in any transcript"),
        ("a ... !\n", "a x\n", "ref has no word in any transcript"),
        ("a one\n", "z one\n", "no utterance in common with the references: it has such as z"),
        ("a one\na two\n", "a one\n", "line 2, has a a second time"),
    ],
)
def test_mistakes_are_one_sentence(calc_metrics, run_main, tmp_path, ref, hyp, sentence):
    (tmp_path / "ref").write_text(ref)
    (tmp_path / "hyp").write_text(hyp)
    code, _, complaint = run_main(calc_metrics, tmp_path / "ref", tmp_path / "hyp")
    assert code == 2 and sentence in complaint and complaint.count("\n") == 1


def test_an_output_that_cannot_be_written_is_said(calc_metrics, run_main, texts):
    out = texts["ref"] / "below a file.json"
    code, _, complaint = run_main(calc_metrics, texts["ref"], texts["a"], "--json", out)
    assert code == 2 and "cannot be written" in complaint and complaint.count("\n") == 1


def test_help_shows_the_commands(run_script):
    done = run_script("calc_metrics.py", "--help")
    assert done.returncode == 0
    assert "calc_metrics.py REF_DIR HYP_DIR" in done.stdout and "HYP2" in done.stdout
