import csv
import json
import math
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from src.trainer.base_trainer import BaseTrainer
from src.trainer.build import build_trainer
from src.trainer.pretrained import load_pretrained
from src.trainer.run_folder import checkpoint_to_resume, open_run_folder
from src.utils.errors import UserError
from src.utils.interruption import Interrupted
from src.utils.random_state import seed_everything


def start(config):
    config.trainer.resume_from = checkpoint_to_resume(config)
    run_dir = open_run_folder(config)
    seed_everything(config.seed)
    return build_trainer(config, run_dir)


def rows(run_dir, *columns):
    """The metric rows without what the clock decides."""
    with (run_dir / "metrics.csv").open() as file:
        return [tuple(row.get(c, "") for c in columns) for row in csv.DictReader(file)]


def test_it_learns_the_tones(compose_tiny, tmp_path):
    """Chance on three letters is far above: the whole path from file to WER works."""
    trainer = start(
        compose_tiny(
            "transforms=none",
            *("trainer.epochs=12", "trainer.epoch_len=25", "optimizer.lr=0.01"),
            *("model.dropout=0.0", "trainer.monitor=argmax/cer"),
        )
    )
    trainer.train()
    summary = trainer.test()
    assert summary["test"]["argmax"]["cer"] < 0.1
    assert json.loads((tmp_path / "run/summary.json").read_text())["test"]["argmax"][
        "cer"
    ] == pytest.approx(summary["test"]["argmax"]["cer"])
    assert {"config.yaml", "git.txt", "text_encoder", "checkpoints", "metrics.csv"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
    pretrained = load_pretrained(tmp_path / "run")
    saved = load_file(tmp_path / "run/checkpoints/best/model.safetensors")
    assert torch.equal(pretrained.model.head.weight, saved["head.weight"])


@pytest.mark.parametrize("stop_at", [6, 9])
def test_resuming_gives_the_same_run_to_the_bit(compose_tiny, tmp_path, stop_at, monkeypatch):
    """Stopped at the end and in the middle of an epoch, with dropout and SpecAugment drawing."""
    whole = start(compose_tiny(run_name="whole"))
    whole.train()

    stopped = start(compose_tiny("trainer.save_every=3", run_name="stopped"))
    monkeypatch.setattr(BaseTrainer, "_should_stop", lambda self: self.step >= stop_at)
    stopped.train()
    monkeypatch.undo()
    checkpoint = tmp_path / "stopped" / "checkpoints" / f"step_{stop_at}"
    resumed = start(compose_tiny(f"trainer.resume_from={checkpoint}", run_name="stopped"))
    assert resumed.step == stop_at
    resumed.train()

    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    columns = ("step", "mode", "loss", "grad_norm", "lr", "argmax/wer", "argmax/cer")
    expected = rows(tmp_path / "whole", *columns)
    assert len(expected) == 6 + 2  # logged every 2 of 12 steps, evaluated every 6
    assert rows(tmp_path / "stopped", *columns) == expected


def test_accumulated_batches_give_the_gradient_of_one_large_batch(compose_tiny):
    """The mean over all utterances, though the batches differ in how many they have."""

    def gradients(*batches):
        config = compose_tiny(
            *("transforms=none", "model.dropout=0.0", "trainer.max_grad_norm=1e9"),
            *("overwrite=true", f"trainer.accumulation={len(batches)}"),
        )
        trainer = start(config)
        trainer._start_clock()
        loader = trainer.loaders["train"]
        items = [[loader.dataset[position] for position in batch] for batch in batches]
        trainer._optimizer_step(map(loader.collate_fn, items))
        return {name: p.grad for name, p in trainer.model.named_parameters()}

    accumulated = gradients([0, 1, 2, 3, 4], [5, 6])
    for name, gradient in gradients(range(7)).items():
        torch.testing.assert_close(accumulated[name], gradient, atol=1e-6, rtol=1e-4)


def test_the_logged_gradient_norm_is_the_one_before_clipping(compose_tiny):
    trainer = start(compose_tiny("trainer.max_grad_norm=0.01"))
    trainer._start_clock()
    trainer._optimizer_step(iter(trainer.stream))
    norm = trainer.tracker.means()["grad_norm"]
    clipped = math.sqrt(sum(p.grad.square().sum().item() for p in trainer.model.parameters()))
    assert norm > 0.1
    assert clipped == pytest.approx(0.01, rel=1e-3)


def test_training_stops_when_nothing_improves(compose_tiny):
    trainer = start(compose_tiny("trainer.epochs=50", "trainer.patience=2", "optimizer.lr=1e-9"))
    trainer.train()
    assert trainer.step == 6 * 3  # the first evaluation is the best, two more bring nothing


def test_gradients_that_stay_nan_stop_the_run_with_a_remedy(compose_tiny):
    trainer = start(compose_tiny("trainer.max_skipped_steps=5"))
    with torch.no_grad():
        trainer.model.head.bias.fill_(math.nan)
    with pytest.raises(UserError, match=r"gradients of 5 steps in a row.*replay_batch\.py"):
        trainer.train()


def test_bf16_autocast_trains(compose_tiny):
    trainer = start(compose_tiny("trainer.precision=bf16", "trainer.epochs=1"))
    trainer.train()
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("device=cuda:7", r"device=cuda:7 cannot be used here.*device=auto"),
        ("trainer.resume_from=/nowhere", r"no checkpoint in /nowhere"),
    ],
)
def test_impossible_settings_are_one_sentence(compose_tiny, override, message):
    with pytest.raises(UserError, match=message):
        start(compose_tiny(override))


def test_a_run_is_never_overwritten_unasked(compose_tiny, tmp_path):
    start(compose_tiny())
    with pytest.raises(UserError, match="holds a run already"):
        start(compose_tiny("overwrite=false"))
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("all of it")
    with pytest.raises(UserError, match="not a run folder"):
        start(compose_tiny("overwrite=true", run_name="precious"))
    assert (tmp_path / "precious" / "thesis.txt").exists()


def test_a_run_folder_may_name_this_repositorys_classes_only(compose_tiny, tmp_path):
    start(compose_tiny("trainer.epochs=1")).train()
    config = tmp_path / "run" / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("src.transforms.SpecAugment", "os.system"))
    with pytest.raises(UserError, match=r"asks for os\.system"):
        load_pretrained(tmp_path / "run")


def test_resuming_is_exact_with_everything_that_draws_or_remembers(
    compose_tiny, tmp_path, monkeypatch
):
    """The switches of `-cn=best`, each of which must survive an interruption."""
    best = [
        *("loss=cr_ctc", "model.n_layers=3", "model.intermediate_layers=[1]"),
        *("model.self_conditioning=true", "loss.intermediate_weight=0.3"),
        *("model.stochastic_depth=0.3", "trainer.ema_decay=0.9", "optimizer=adamw_groups"),
        *("trainer.dropout_schedule=[[0,0.0],[1,0.2]]", "dataloader.speeds=[0.9,1.0,1.1]"),
    ]
    whole = start(compose_tiny(*best, run_name="whole"))
    whole.train()
    stopped = start(compose_tiny(*best, "trainer.save_every=9", run_name="stopped"))
    monkeypatch.setattr(BaseTrainer, "_should_stop", lambda self: self.step >= 9)
    stopped.train()
    monkeypatch.undo()
    checkpoint = tmp_path / "stopped/checkpoints/step_9"
    resumed = start(compose_tiny(*best, f"trainer.resume_from={checkpoint}", run_name="stopped"))
    resumed.train()
    assert not torch.equal(whole.ema.average[0], whole.ema.parameters[0])
    for value, expected in zip(resumed.ema.average, whole.ema.average):
        assert torch.equal(value, expected)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    columns = ("step", "mode", "loss", "grad_norm", "lr", "argmax/wer", "argmax/cer")
    assert rows(tmp_path / "stopped", *columns) == rows(tmp_path / "whole", *columns)


def test_a_kill_before_the_final_last_leaves_no_older_one(compose_tiny, tmp_path, monkeypatch):
    settings = ["trainer.ema_decay=0.9", "trainer.save_every=1"]
    start(compose_tiny(*settings, run_name="whole")).train()
    killed = start(compose_tiny(*settings, run_name="killed"))
    save = BaseTrainer._save

    def die_before_last(self, name):
        if name == "last" and self.step == self.total_steps:
            raise KeyboardInterrupt
        save(self, name)

    monkeypatch.setattr(BaseTrainer, "_save", die_before_last)
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    monkeypatch.undo()
    folder = tmp_path / "killed" / "checkpoints"
    start(
        compose_tiny(*settings, f"trainer.resume_from={tmp_path / 'killed'}", run_name="killed")
    ).train()
    expected = (tmp_path / "whole/checkpoints/last/model.safetensors").read_bytes()
    assert (folder / "last/model.safetensors").read_bytes() == expected


def test_the_averaged_weights_are_evaluated_and_kept(compose_tiny, tmp_path):
    trainer = start(compose_tiny("trainer.ema_decay=0.5", "trainer.epochs=1"))
    trainer.train()
    saved = load_file(tmp_path / "run/checkpoints/best/model.safetensors")
    loss = trainer.evaluate("val")["loss"]
    for (name, trained), average in zip(trainer.model.named_parameters(), trainer.ema.average):
        assert torch.equal(saved[name], average)
        assert not torch.equal(saved[name], trained)
    logged = rows(tmp_path / "run", "mode", "loss")
    pretrained = load_pretrained(tmp_path / "run")
    trainer.model.load_state_dict(pretrained.model.state_dict())
    averaged_loss = trainer.evaluate("val")["loss"]
    with pytest.raises(UserError, match=r"with trainer\.ema_decay; resume with the same"):
        start(compose_tiny(f"trainer.resume_from={tmp_path / 'run'}"))
    assert averaged_loss != pytest.approx(loss, rel=1e-6)
    assert ("val", pytest.approx(averaged_loss, rel=1e-5)) in [
        (mode, float(value)) for mode, value in logged
    ]


def test_an_interrupted_evaluation_is_repeated(compose_tiny, tmp_path, monkeypatch):
    """Every rate and loss then equals that of a run that was left alone."""
    whole = start(compose_tiny("trainer.ema_decay=0.9", run_name="whole"))
    whole.train()

    stopped = start(compose_tiny("trainer.ema_decay=0.9", run_name="stopped"))
    update = stopped.metrics.update

    def interrupt(batch):
        if stopped.step == 12:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(batch)

    monkeypatch.setattr(stopped.metrics, "update", interrupt)
    with pytest.raises(Interrupted):
        stopped.train()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert ("12", "val") not in rows(tmp_path / "stopped", "step", "mode")

    resumed = start(
        compose_tiny("trainer.resume=auto", "trainer.ema_decay=0.9", run_name="stopped")
    )
    assert (resumed.step, resumed.evaluation_due) == (12, True)
    resumed.train()
    columns = ("step", "mode", "loss", "argmax/wer", "argmax/cer")
    assert rows(tmp_path / "stopped", *columns) == rows(tmp_path / "whole", *columns)
    for name in ("best", "last"):
        weights, expected = (
            load_file(tmp_path / run / "checkpoints" / name / "model.safetensors")
            for run in ("stopped", "whole")
        )
        assert all(torch.equal(weights[tensor], expected[tensor]) for tensor in expected)


def test_auto_begins_a_run_that_died_before_its_first_checkpoint_anew(compose_tiny, tmp_path):
    start(compose_tiny("trainer.resume=auto", "overwrite=false"))
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 2, "mode": "train", "loss": 9.0}\n')
    (tmp_path / "run" / "checkpoints" / "last.new").mkdir(parents=True)
    trainer = start(compose_tiny("trainer.resume=auto", "overwrite=false"))
    assert trainer.step == 0
    trainer.train()
    assert rows(tmp_path / "run", "loss")[0] != ("9.0",)
    assert start(compose_tiny("trainer.resume=auto", "overwrite=false")).step == 12


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.resume=last"], r"trainer\.resume=last is unknown: use auto"),
        (["trainer.resume=auto", "trainer.resume_from=saved/x"], "exclude each other"),
        (["trainer.resume=auto", "run_name=a_${now:%H}"], r"run_name .* give run_name=NAME"),
    ],
)
def test_what_auto_cannot_mean_is_one_sentence(compose_tiny, overrides, message):
    with pytest.raises(UserError, match=message):
        start(compose_tiny(*overrides))


def test_only_the_latest_steps_are_kept(compose_tiny, tmp_path):
    start(compose_tiny("trainer.save_every=1", "trainer.keep=3")).train()
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").glob("step_*")}
    assert kept == {"step_10", "step_11", "step_12"}
