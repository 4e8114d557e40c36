"""Steps whose gradients are not finite: without effect, counted, and in the end a replay."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from pathlib import Path

import pytest
import torch

from src.trainer.checkpoint import load_weights
from src.trainer.skipped_steps import Step
from src.utils.errors import UserError
from tests.trainer.test_training import rows, start

REPLAY = Path(__file__).parents[2] / "scripts" / "replay_batch.py"


@pytest.fixture
def compose_poisoned(compose_tiny):
    """compose_poisoned(["u05"], ...): the tiny config, some of whose audio is NaN."""

    def compose(poisoned: list[str], *overrides: str):
        return compose_tiny(
            "datasets.train._target_=tests.trainer.poisoned_dataset.PoisonedDataset",
            f"+datasets.train.poisoned={json.dumps(poisoned)}",
            *overrides,
        )

    return compose


@pytest.mark.parametrize("fused", [True, False])
def test_a_skipped_step_leaves_weights_and_optimizer_as_they_were(compose_poisoned, fused):
    trainer = start(compose_poisoned(["u05"], f"optimizer.fused={fused}"))
    trainer._start_clock()
    skipped = 0
    for _, batch in zip(range(12), trainer.stream):
        before, scheduled = snapshot(trainer), trainer.lr_scheduler.last_epoch
        trainer._optimizer_step(iter([batch]))
        has_nan = "u05" in batch["utterance_id"]
        assert all(map(torch.equal, before, snapshot(trainer))) == has_nan
        assert trainer.lr_scheduler.last_epoch == scheduled + 1, "the schedule goes on"
        skipped += has_nan
    assert skipped == trainer.skipped_steps.total > 0


def snapshot(trainer):
    """Weights and the moments of Adam (none before its first step)."""
    state = trainer.optimizer.state
    parameters = list(trainer.model.parameters())
    moments = [
        state[p][name].clone() if name in state.get(p, {}) else torch.zeros_like(p)
        for p in parameters
        for name in ("exp_avg", "exp_avg_sq")
    ]
    return [p.detach().clone() for p in parameters] + moments


def test_after_a_skipped_step_training_goes_on_as_if_its_data_had_not_been(compose_poisoned):
    """Adam's own count of steps too: the next update is the one of an optimizer without it."""

    def trained(poisoned_first):
        trainer = start(compose_poisoned(["u05"], "overwrite=true", "transforms=none"))
        trainer.model.eval()
        trainer._start_clock()
        batches = [batch for _, batch in zip(range(6), trainer.stream)]
        good = [batch for batch in batches if "u05" not in batch["utterance_id"]]
        [bad] = [batch for batch in batches if "u05" in batch["utterance_id"]]
        torch.manual_seed(0)
        for group in trainer.optimizer.param_groups:
            group["lr"] = 1e-3
        trainer.lr_scheduler.step = lambda: None
        for batch in [good[0], *([bad] if poisoned_first else []), good[1]]:
            state = torch.get_rng_state()
            trainer._optimizer_step(iter([batch]))
            if batch is bad:
                torch.set_rng_state(state)
        return trainer.model.state_dict()

    clean, poisoned = trained(False), trained(True)
    for name, value in clean.items():
        assert torch.equal(poisoned[name], value), name


def test_one_bad_utterance_costs_a_step_an_epoch_and_no_more(compose_poisoned, tmp_path, caplog):
    trainer = start(compose_poisoned(["u05"], "trainer.epochs=3"))
    per_epoch = len(trainer.loaders["train"])
    trainer.train()
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())
    skips = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert 18 // per_epoch <= len(skips) <= 1 + 18 // per_epoch
    assert all("u05" in message for message in skips)
    logged = rows(tmp_path / "run", "mode", "skipped_steps", "loss", "grad_norm")
    training = [row for row in logged if row[0] == "train"]
    assert float(training[-1][1]) == len(skips)
    assert all(math.isfinite(float(value)) for row in training for value in row[2:])


def test_fp16_may_overflow_until_its_scale_is_found(compose_tiny):
    """Steps that the scaler skips at a scale above 1 are its search, not the data's fault."""
    trainer = start(compose_tiny("trainer.max_skipped_steps=2"))
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, enabled=True)
    trainer._start_clock()
    batches = iter(trainer.stream)
    for _ in range(30):
        trainer._optimizer_step(batches)
    assert trainer.scaler.get_scale() < 2.0**127
    assert trainer.skipped_steps.total == 0


def test_a_run_that_skips_every_step_stops_and_can_be_replayed(
    compose_poisoned, tmp_path, monkeypatch, capsys
):
    everything = [f"u{n:02}" for n in range(24)]
    trainer = start(compose_poisoned(everything, "trainer.max_skipped_steps=3"))
    with pytest.raises(UserError, match=r"gradients of 3 steps in a row.*replay_batch\.py") as stop:
        trainer.train()
    named = re.search(r"at step 3 those of (.*?);", str(stop.value))[1].split(", ")
    kept = tmp_path / "run" / "checkpoints" / "skipped_steps"
    assert {path.name for path in kept.glob("*.pt")} == {"step_1.pt", "step_2.pt", "step_3.pt"}
    [batch] = torch.load(kept / "step_3.pt", weights_only=True)["batches"]
    assert batch["utterance_id"] == named
    load_weights(kept, trainer.model)  # the weights are those that the steps found

    printed = replay(monkeypatch, capsys, tmp_path / "run", "--step", "3")
    assert f"first tensor that is not finite: audio of {named[0]}" in printed
    assert "loss nan" in printed
    losses = re.findall(r"^ +(\S+)  (u\d\d)  ", printed, flags=re.MULTILINE)
    assert set(losses) == {("nan", name) for name in named}


def test_a_replay_is_the_step_as_it_was_in_training(compose_tiny, tmp_path, monkeypatch, capsys):
    """Dropout and SpecAugment are drawn alike: loss and norm are those of training."""
    trainer = start(compose_tiny("trainer.max_skipped_steps=1"))
    logged = {}
    monkeypatch.setattr(torch.Tensor, "isfinite", never)  # as if the gradients were broken
    monkeypatch.setattr(
        trainer.tracker, "update", lambda name, value, **_: logged.update({name: float(value)})
    )
    with pytest.raises(UserError, match="1 steps in a row"):
        trainer.train()
    monkeypatch.undo()
    printed = replay(monkeypatch, capsys, tmp_path / "run")
    loss, norm = re.search(r"loss (\S+), gradient norm (\S+)", printed).groups()
    assert float(loss) == pytest.approx(logged["loss"], abs=1e-4)
    assert float(norm) == pytest.approx(logged["grad_norm"], rel=1e-4)
    assert "first tensor that is not finite: none" in printed


def never(tensor):
    return torch.zeros_like(tensor, dtype=torch.bool)


def replay(monkeypatch, capsys, *arguments) -> str:
    spec = importlib.util.spec_from_file_location("replay_batch", REPLAY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["replay_batch.py", *map(str, arguments)])
    module.main()
    return capsys.readouterr().out


@pytest.mark.gpu
def test_on_a_gpu_a_step_is_skipped_without_waiting_for_it(compose_poisoned):
    trainer = start(compose_poisoned(["u05"], "device=cuda", "trainer.max_skipped_steps=100"))
    trainer._start_clock()
    loader = trainer.loaders["train"]
    batches = [batch for _, batch in zip(range(len(loader)), trainer.stream)]
    for batch in batches:
        before = snapshot(trainer)
        trainer._optimizer_step(iter([batch]))
        has_nan = "u05" in batch["utterance_id"]
        assert all(map(torch.equal, before, snapshot(trainer))) == has_nan
    norm = torch.tensor(math.nan, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer._update_weights(Step(0, [], []), norm)
    finally:
        torch.cuda.set_sync_debug_mode("default")
