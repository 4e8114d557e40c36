"""What a person reads after a command that cannot be composed."""

import sys

import hydra
import pytest

from src.utils.config_errors import CONFIGS, refuse_bad_overrides


@refuse_bad_overrides
@hydra.main(version_base=None, config_path=str(CONFIGS), config_name="baseline")
def main(config):
    raise AssertionError("it ran")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("trainer.epoch=3", "there is no setting trainer.epoch; did you mean trainer.epochs?"),
        ("trainr.epochs=3", "there is no setting trainr.epochs; did you mean trainer.epochs?"),
        ("trainer.epochs.x=3", "no setting trainer.epochs.x; did you mean trainer.epochs?"),
        ("lr=3", "there is no setting lr; did you mean optimizer.lr?"),
        ("zzzzz=3", "there is no setting zzzzz; see --help"),
        ("optimiser=adamw", "there is no setting optimiser; did you mean optimizer?"),
        ("optimizer=adam", "there is no optimizer=adam; did you mean adamw? There are adamw, "),
        ("model=conformer_huge", "did you mean conformer_large?"),
        (
            "metrics=none",
            "there is no metrics=none. There are argmax, beam, beam_lm, beam_lm_closed.",
        ),
        ("-cn=basline", "there is no -cn=basline; did you mean baseline? There are app, "),
        (
            "+experiment=mini_librispeech_cpu",
            "experiment is chosen already: write experiment=... without +",
        ),
        ("+optimizer=adamw", "optimizer is chosen already: write optimizer=... without +"),
        ("trainer.epochs", "trainer.epochs has no value: write trainer.epochs=..."),
        ("data_dir=/home/Ann's", "data_dir=/home/Ann's cannot be parsed; text with commas"),
        ("~trainer.epoch", "'trainer.epoch' does not exist"),
    ],
)
def test_one_sentence_with_the_nearest_right_name(monkeypatch, capsys, override, sentence):
    monkeypatch.setattr(sys, "argv", ["train.py", override])
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    assert stop.value.code == 2
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert sentence in printed.err
    assert not printed.out
