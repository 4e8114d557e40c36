"""The four questions on log-probabilities whose faults are known."""

from __future__ import annotations

import json
import math
from itertools import groupby
from pathlib import Path

import pytest
import torch
from rapidfuzz.distance import Levenshtein
from torch.nn.functional import one_hot

from src.decoding.log_prob_set import LogProbSet
from src.decoding.ngram_lm import NGramLM
from src.decoding.simulate import simulate
from src.text_encoder import CTCTextEncoder, PhonemeCTCTextEncoder

FIXTURES = Path(__file__).parents[1] / "decoding" / "fixtures"
ARPA = FIXTURES / "grammar-3gram.arpa"
TOKENS = len(PhonemeCTCTextEncoder())
TEXTS = (FIXTURES / "grammar.txt").read_text().splitlines()[:12]


def test_a_model_that_over_fits_and_a_beam_that_is_too_narrow(
    load_script, run_main, monkeypatch, tmp_path
):
    script, encoder = load_script("diagnose"), CTCTextEncoder()
    noise = {"train": 0.02, "dev": 0.3}
    monkeypatch.setattr(
        script,
        "log_probs_of",
        lambda run, part, count: (
            simulate(TEXTS[:count], encoder, noise=noise[part.name]),
            encoder,
        ),
    )
    found = {}
    for beam in (1, 100):
        out = tmp_path / f"{beam}.json"
        code, printed, _ = run_main(
            *(script, "RUN", "--train", "train", "--dev", "dev", "--lm", ARPA, "--json", out),
            *("--beam", beam, "--n-best", min(beam, 10), "--utterances", 12),
        )
        assert code == 0
        found[beam] = json.loads(out.read_text())
    narrow, wide = found[1]["language"], found[100]["language"]
    assert wide["oracle_wer"] <= wide["wer"] < narrow["wer"] < found[1]["dev"]["wer"]
    assert narrow["oracle_wer"] == narrow["wer"]  # one reading
    assert narrow["search_errors"] > wide["search_errors"]
    assert narrow["search_errors"] <= narrow["wrong_utterances"] <= 12
    assert found[100]["train"]["wer"] == 0 < found[100]["dev"]["wer"]
    assert found[100]["spelling"]["substituted"] == found[100]["dev"]["substitutions"]
    assert 0 < found[100]["spelling"]["one_letter"] < 1
    assert "train train, 12 utterances, argmax: WER 0.00%" in printed


def test_of_phonemes_their_error_rate_is_said(load_script, run_main, monkeypatch, tmp_path):
    script, encoder = load_script("diagnose"), PhonemeCTCTextEncoder().fit(TEXTS)
    utterances = LogProbSet([noisy(encoder.encode(text)) for text in TEXTS], TEXTS, 0.04)
    monkeypatch.setattr(script, "log_probs_of", lambda *_: (utterances, encoder))
    out = tmp_path / "found.json"
    code, printed, _ = run_main(
        *(script, "RUN", "--train", "train", "--dev", "dev", "--lm", ARPA, "--json", out),
        *("--vocabulary", "closed", "--beta", 0),
    )
    assert code == 0
    found = json.loads(out.read_text())
    edits = [
        Levenshtein.distance(encoder.encode(text), argmax(log_probs))
        for text, log_probs in zip(TEXTS, utterances.log_probs)
    ]
    judged = sum(edits) / sum(len(encoder.encode(text)) for text in TEXTS)
    assert found["dev"]["ter"] == pytest.approx(judged)
    assert judged > 0 and f"phonemes, error rate: {judged:.2%}" in printed
    assert found["language"]["wer"] < found["dev"]["wer"]


def noisy(tokens):
    """Two frames of each token and one of blank, most of them right."""
    frames = torch.tensor([frame for token in tokens for frame in (token, token, 0)])
    generator = torch.Generator().manual_seed(len(tokens))
    logits = torch.randn(len(frames), TOKENS, generator=generator) + 3 * one_hot(frames, TOKENS)
    return logits.log_softmax(dim=-1)


def argmax(log_probs):
    return [token for token, _ in groupby(log_probs.argmax(dim=-1).tolist()) if token]


def test_perplexity_is_that_of_kenlm(load_script):
    kenlm = pytest.importorskip("kenlm", reason="pip install kenlm")
    script, lm, judge = load_script("diagnose"), NGramLM.from_arpa(ARPA), kenlm.Model(str(ARPA))
    total = sum(judge.score(text) for text in TEXTS) * math.log(10)
    tokens = sum(len(text.split()) + 1 for text in TEXTS)
    perplexity, unknown = script.lm_perplexity(lm, TEXTS)
    assert perplexity == pytest.approx(math.exp(-total / tokens), rel=1e-4)
    assert unknown == 0
    same, share = script.lm_perplexity(lm, [*TEXTS, "zyzzyva"])
    assert share == pytest.approx(1 / (tokens - len(TEXTS) + 1))
    assert math.isfinite(same)
