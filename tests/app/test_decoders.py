"""Which language model `lm` means, and what a client may ask of a decoder."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from src.app.decoders import HELD, Choice, Decoders, language_model
from src.app.refusal import Refusal
from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError


def of_run(lm):
    return SimpleNamespace(config={} if lm is None else {"lm": lm})


def test_auto_is_the_run_s_own_if_it_is_here(lm, tmp_path):
    assert language_model("auto", of_run(str(lm)), "data") == lm
    for gone in (None, str(tmp_path / "gone.arpa"), "3-gram.pruned.1e-7"):
        assert language_model("auto", of_run(gone), str(tmp_path)) is None  # nothing is fetched
    official = tmp_path / "lm" / "3-gram.pruned.1e-7.arpa"
    official.parent.mkdir()
    official.write_text(lm.read_text())
    assert language_model("auto", of_run("3-gram.pruned.1e-7"), str(tmp_path)) == official


def test_a_path_must_be_there_and_null_is_none(lm, tmp_path):
    assert language_model(str(lm), of_run(None), "data") == lm
    assert language_model(None, of_run(str(lm)), "data") is None
    with pytest.raises(UserError, match="neither a file nor an official"):
        language_model(str(tmp_path / "gone.arpa"), of_run(str(lm)), "data")


def test_without_a_language_model_its_decoders_are_not_offered():
    names = ["argmax", "beam_search_lm"]
    assert list(Decoders(names, None, CTCTextEncoder(), 0.04).usual) == ["argmax"]
    with pytest.raises(UserError, match="all need a language model"):
        Decoders(["beam_search_lm"], None, CTCTextEncoder(), 0.04)
    with pytest.raises(UserError, match="there is no decoder 'beam'; decoders are chosen from"):
        Decoders(["beam"], None, CTCTextEncoder(), 0.04)


def test_weights_are_rounded_and_the_last_decoders_kept(lm):
    decoders = Decoders(["argmax", "beam_search_lm"], lm, CTCTextEncoder(), 0.04)
    assert decoders.choice(None, None, None) == Choice("beam_search_lm", 0.5, 1.5)
    assert decoders.choice("argmax", 3.0, None) == Choice("argmax")  # it has none
    assert decoders.choice(None, 0.701, -2.0) == Choice("beam_search_lm", 0.7, -2.0)
    with pytest.raises(Refusal):
        decoders.choice(None, 11.0, None)
    first = decoders.decode(decoders.choice(None, 0.0, None))
    assert decoders.decode(decoders.choice(None, 0.004, None)) is first
    for step in range(HELD):
        decoders.decode(decoders.choice(None, 0.1 + step / 10, None))
    again = decoders.decode(decoders.choice(None, 0.0, None))
    assert again is not first
    frames = torch.randn(1, 20, 29).log_softmax(dim=-1)
    length = torch.tensor([20])
    assert again(frames, length)[0][0].text == first(frames, length)[0][0].text
