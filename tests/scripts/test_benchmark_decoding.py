import json
from pathlib import Path

import pytest

from src.decoding import ArgmaxDecoder
from src.decoding.simulate import simulate
from src.metrics import ErrorCounts, word_errors
from src.text_encoder import CTCTextEncoder
from src.trainer.log_probs import log_probs_of
from src.utils.cores import available_cores

pytest.importorskip("pyctcdecode", reason="pip install pyctcdecode")
pytest.importorskip("kenlm", reason="pip install kenlm")
pytest.importorskip("flashlight.lib.text.decoder.kenlm", reason="pip install flashlight-text")

FIXTURES = Path(__file__).parents[1] / "decoding" / "fixtures"
ARPA = FIXTURES / "grammar-3gram.arpa"
TEXT = FIXTURES / "grammar.txt"
PEERS = ("pyctcdecode", "pyctcdecode_lm", "flashlight_lm")


def argmax_wer(utterances):
    [(log_probs, length, texts)] = utterances.batches(len(utterances))
    hypotheses = [n_best[0].text for n_best in ArgmaxDecoder(CTCTextEncoder())(log_probs, length)]
    return sum(map(word_errors, texts, hypotheses), ErrorCounts()).rate


def test_every_decoder_is_timed_and_scored_on_the_same_utterances(run_script, tmp_path):
    out = tmp_path / "new" / "out.json"
    done = run_script(
        *("benchmark_decoding.py", "--json", out, "--text", TEXT, "--lm", ARPA, "--rounds", 1),
        *("--utterances", 90, "--beams", 2, 4, "--decoders", "argmax", *PEERS),
    )
    assert done.returncode == 0, done.stderr
    written = json.loads(out.read_text())
    assert written["settings"]["alpha"] == 0.5
    rows = {(r["decoder"], r["beam"], r["cores"]): r for r in written["results"]}
    cores = available_cores()
    expected = {("argmax", None, 1)} | {(name, beam, 1) for name in PEERS for beam in (2, 4)}
    expected |= {(name, beam, cores) for name in PEERS[:2] for beam in (2, 4)}
    assert rows.keys() == expected
    for row in rows.values():
        assert row["ms_per_utterance"] > 0
        assert row["rtfx"] * row["ms_per_utterance"] == pytest.approx(
            rows["argmax", None, 1]["rtfx"] * rows["argmax", None, 1]["ms_per_utterance"], rel=0.01
        )
    assert rows["flashlight_lm", 4, 1]["wer"] < rows["argmax", None, 1]["wer"] / 2
    assert rows["pyctcdecode_lm", 4, 1]["wer"] == rows["pyctcdecode_lm", 4, cores]["wer"]
    times = rows["flashlight_lm", 4, 1]["speed_of"]["pyctcdecode"]
    slow, fast = (rows[name, 4, 1]["ms_per_utterance"] for name in ("pyctcdecode", "flashlight_lm"))
    assert times == pytest.approx(slow / fast, rel=0.02)
    # all 90 sentences, in another order: the same words, other noise
    texts = TEXT.read_text().splitlines()
    wer = argmax_wer(simulate(texts, CTCTextEncoder()))
    assert rows["argmax", None, 1]["wer"] == pytest.approx(wer, abs=0.15)
    assert "flashlight_lm" in done.stdout and "WER %" in done.stdout


def test_log_probs_of_a_run_folder(load_script, run_main, run_dir, corpus, tmp_path):
    out = tmp_path / "out.json"
    code, _, complaint = run_main(
        *(load_script("benchmark_decoding"), "--json", out, "--run", run_dir, "--data", corpus),
        *("--decoders", "argmax", "--rounds", 1),
    )
    assert code == 0, complaint
    [row] = json.loads(out.read_text())["results"]
    utterances, _ = log_probs_of(run_dir, corpus, device="cpu")
    assert row["wer"] == pytest.approx(argmax_wer(utterances))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--text", "missing.txt"], "error: --text missing.txt cannot be read"),
        (["--run", "saved/x"], "--run and --data go together"),
        (["--decoders", "flashlight_lm"], "decoders with a language model need --lm"),
        (["--beams", "0", "--decoders", "pyctcdecode"], "error: beam_size is 0"),
    ],
)
def test_what_it_cannot_do_is_said(load_script, run_main, tmp_path, arguments, sentence):
    script = load_script("benchmark_decoding")
    code, _, complaint = run_main(script, "--json", tmp_path / "out.json", *arguments)
    assert code == 2
    assert sentence in complaint
