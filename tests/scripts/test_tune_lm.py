import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.image import imread

from src.decoding.log_prob_set import LogProbSet
from src.decoding.pyctcdecode_decoder import PyctcdecodeDecoder
from src.decoding.simulate import simulate
from src.metrics import ErrorCounts, word_errors
from src.text_encoder import CTCTextEncoder
from src.trainer import log_probs
from src.trainer.log_probs import log_probs_of
from src.trainer.pretrained import load_pretrained

pytest.importorskip("pyctcdecode", reason="pip install pyctcdecode")
pytest.importorskip("kenlm", reason="pip install kenlm")

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "decoding" / "fixtures"
ARPA = FIXTURES / "grammar-3gram.arpa"
TEXTS = (FIXTURES / "grammar.txt").read_text().splitlines()[:12]


GRID = ("--beam", 2, 4, "--alpha", 0.0, 0.5, "--beta", -9, 0.5)


def wer_of(utterances, **options):
    decoder = PyctcdecodeDecoder(
        text_encoder=CTCTextEncoder(), frame_seconds=0.04, num_processes=0, **options
    )
    [(log_probs, length, texts)] = utterances.batches(len(utterances))
    hypotheses = [n_best[0].text for n_best in decoder(log_probs, length)]
    return sum(map(word_errors, texts, hypotheses), ErrorCounts()).rate


def test_the_best_of_the_grid_is_printed_as_overrides(load_script, run_main, monkeypatch, tmp_path):
    script = load_script("tune_lm")
    utterances = simulate(TEXTS, CTCTextEncoder(), noise=0.26)
    monkeypatch.setattr(script, "log_probs_of", lambda *_: (utterances, CTCTextEncoder()))
    out = tmp_path / "out"
    code, printed, _ = run_main(
        *(script, "RUN", "--data", "DATA", "--lm", ARPA, "--out", out),
        *("--decoder", "pyctcdecode_lm", *GRID),
    )
    assert code == 0
    rows = list(csv.DictReader((out / "grid.csv").open()))
    assert len(rows) == 8
    for row in (rows[0], rows[5]):
        alpha, beta, beam = float(row["alpha"]), float(row["beta"]), int(row["beam_size"])
        wer = wer_of(utterances, lm=str(ARPA), alpha=alpha, beta=beta, beam_size=beam)
        assert float(row["wer"]) == pytest.approx(wer)
    best = min(rows, key=lambda row: float(row["wer"]))
    assert best["beta"] == "0.5" and float(best["wer"]) < float(rows[0]["wer"])
    prefix = "metrics.pyctcdecode_lm"
    assert (
        f"{prefix}.beam_size={best['beam_size']} {prefix}.alpha={float(best['alpha']):g} "
        f"{prefix}.beta=0.5" in printed
    )
    assert "beta=0.5 is at the edge of the grid" in printed
    for beam in (2, 4):
        picture = imread(out / f"beam_{beam}.png")
        assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 50


def test_in_a_real_process_the_run_folders_model_is_asked(run_script, run_dir, corpus, tmp_path):
    grid = ("--alpha", 0.5, "--beta", 0.5, "--beam", 4, "--decoder", "pyctcdecode_lm")
    done = run_script(
        *("tune_lm.py", run_dir, "--data", corpus, "--lm", ARPA, *grid, "--out", tmp_path)
    )
    assert done.returncode == 0, done.stderr
    utterances, _ = log_probs_of(run_dir, corpus, device="cpu")
    wer = wer_of(utterances, lm=str(ARPA), alpha=0.5, beta=0.5, beam_size=4)
    assert f"WER {100 * wer:.2f}% of 3 utterances" in done.stdout
    assert (tmp_path / "beam_4.png").is_file()


def test_an_unknown_decoder_is_refused(load_script, run_main, run_dir, corpus):
    code, _, complaint = run_main(
        *(load_script("tune_lm"), run_dir, "--data", corpus, "--lm", ARPA, "--decoder", "beam")
    )
    assert code == 2
    assert complaint.splitlines()[-1].startswith(
        "error: there is no decoder 'beam'; choose one of argmax"
    )


def test_log_probs_are_the_models_and_kept(run_dir, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    utterances, encoder = log_probs_of(run_dir, corpus, device="cpu")
    pretrained = load_pretrained(run_dir)
    assert encoder.vocab == pretrained.text_encoder.vocab
    assert sorted(utterances.texts) == ["elizabeth was working", "i", "she had found a ticket"]
    paths = {"elizabeth was working": "1-2-0002", "i": "1-2-0003"}
    for text, name in paths.items():
        audio, _ = soundfile.read(corpus / "1" / "2" / f"{name}.flac", dtype="float32")
        batch = {"audio": torch.tensor(audio)[None], "audio_length": torch.tensor([len(audio)])}
        with torch.inference_mode():
            output = pretrained.model(**pretrained.transforms(**batch))
        ours = utterances.log_probs[utterances.texts.index(text)]
        torch.testing.assert_close(ours, output["log_probs"][0], atol=1e-4, rtol=0)

    monkeypatch.setattr(log_probs, "_compute", lambda *_: pytest.fail("was computed again"))
    again, _ = log_probs_of(run_dir, corpus, device="cpu")
    assert again.texts == utterances.texts
    assert all(map(torch.equal, again.log_probs, utterances.log_probs))


def test_another_checkpoint_is_another_set(run_dir, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    log_probs_of(run_dir, corpus, device="cpu")
    other = shutil.copytree(run_dir, tmp_path / "other")
    log_probs_of(other, corpus, device="cpu")
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 2


def test_batches_keep_order_and_lengths():
    utterances = LogProbSet([torch.full((n, 3), float(n)) for n in (2, 5, 1)], ["a", "b", "c"], 0.5)
    (first, length, texts), (last, _, _) = utterances.batches(2)
    assert (first.shape, length.tolist(), texts) == ((2, 5, 3), [2, 5], ["a", "b"])
    assert first[0, :2].eq(2).all() and last.eq(1).all() and utterances.seconds == 4.0
