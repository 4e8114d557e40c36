"""Two real gloo processes against one: the same gradients, error rates and files."""

from __future__ import annotations

import csv
import json
import math
import os
import signal

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from src.trainer.build import build_datasets, build_metrics, build_trainer
from src.trainer.checkpoint import load_training_state
from src.trainer.distributed import (
    all_gather,
    any_rank,
    data_parallel,
    is_main,
    on_main,
    process_group,
    rank,
    sum_over_ranks,
    world_size,
)
from src.trainer.inferencer import Inferencer
from src.trainer.pretrained import load_pretrained
from src.trainer.run_folder import checkpoint_to_resume, open_run_folder
from src.utils.errors import UserError
from src.utils.interruption import Interrupted
from src.utils.random_state import seed_everything
from tests.trainer.ranks import on_ranks

LAST = "checkpoints/last/model.safetensors"


def start(config):
    config.trainer.resume_from = on_main(checkpoint_to_resume, config)
    run_dir = on_main(open_run_folder, config)
    seed_everything(config.seed + rank())
    return build_trainer(config, run_dir)


# One process is the plain case


def test_one_process_needs_no_group():
    with process_group("cpu"):
        assert not dist.is_initialized()
        assert (rank(), world_size(), is_main()) == (0, 1, True)
        assert on_main(max, 3, 5) == 5
        assert all_gather("mine") == ["mine"]
        assert any_rank(True)
        assert not any_rank(False)
        assert sum_over_ranks(torch.tensor(4.0)) == 4
        model = nn.Linear(2, 2)
        assert data_parallel(model) is model


# What the ranks tell one another


def conversation():
    assert is_main() == (rank() == 0)
    assert any_rank(rank() == 1)
    assert not any_rank(False)
    assert sum_over_ranks(torch.tensor([1.0, rank()])).tolist() == [3.0, 3.0]
    return rank(), world_size(), on_main(os.getpid), all_gather({"pid": os.getpid()})


def test_ranks_know_each_other():
    answers = on_ranks(3, conversation)
    pids = [gathered["pid"] for gathered in answers[0][3]]
    assert len(set(pids)) == 3
    assert answers == [(n, 3, pids[0], [{"pid": pid} for pid in pids]) for n in range(3)]


def fail_on_main():
    def refuse():
        raise UserError("no such folder")

    try:
        on_main(refuse)
    except UserError as error:
        return f"error: {error}"
    except SystemExit as left:
        return f"left with {left.code}"


def test_what_fails_on_rank_0_ends_the_others_quietly():
    assert on_ranks(2, fail_on_main) == ["error: no such folder", "left with 1"]


# Gradients


def batch_of(dataset, trainer, positions):
    return trainer.loaders["train"].collate_fn([dataset[position] for position in positions])


def gradients_of_shares(config, shares):
    """One optimizer step; `shares[rank]` has the utterances of each of the rank's batches."""
    trainer = start(config)
    trainer._start_clock()
    dataset = trainer.loaders["train"].dataset
    all_reduces = []

    def counted(state, bucket):
        all_reduces.append(bucket.buffer().numel())
        return allreduce_hook(state, bucket)

    if world_size() > 1:
        trainer.network.register_comm_hook(None, counted)
    trainer._optimizer_step(iter([batch_of(dataset, trainer, batch) for batch in shares[rank()]]))
    gradients = {name: p.grad.clone().numpy() for name, p in trainer.model.named_parameters()}
    return gradients, sum(all_reduces), trainer.tracker.means()["grad_norm"]


WHOLE = list(range(12))


@pytest.mark.parametrize(
    "shares",
    [
        [[WHOLE[:6]], [WHOLE[6:]]],
        [[WHOLE[:2]], [WHOLE[2:]]],
        [[WHOLE[:1], WHOLE[1:4]], [WHOLE[4:9], WHOLE[9:]]],
    ],
    ids=["halves", "unequal", "accumulated"],
)
def test_a_batch_split_over_two_ranks_gives_the_gradients_of_one(compose_tiny, shares):
    """However many utterances each has; and the parameters cross the network once a step."""
    options = ("transforms=none", "model.dropout=0.0", "trainer.max_grad_norm=1e9")
    options += ("overwrite=true", f"trainer.accumulation={len(shares[0])}")
    [(expected, _, norm)] = on_ranks(
        1, gradients_of_shares, compose_tiny(*options, "trainer.accumulation=1"), [[WHOLE]]
    )
    for gradients, all_reduced, of_rank in on_ranks(
        2, gradients_of_shares, compose_tiny(*options), shares
    ):
        assert gradients.keys() == expected.keys()
        for name, gradient in gradients.items():
            assert abs(gradient - expected[name]).max() < 1e-5, name
        assert of_rank == pytest.approx(norm, rel=1e-5)
        assert all_reduced == sum(gradient.size for gradient in gradients.values())


# Evaluation


def evaluate(config):
    trainer = start(config)
    values = trainer.evaluate("val")
    on_main(trainer._report, "val")
    share = len(trainer.loaders["val"])
    return share, values, trainer.metrics.summary(), trainer.metrics.rows()


def test_two_ranks_measure_what_one_measures(compose_tiny, tmp_path):
    """To the utterance, the interval and the line of the table; 24 utterances in 7 batches."""
    [(batches, values, summary, rows)] = on_ranks(1, evaluate, compose_tiny(run_name="one"))
    two = on_ranks(2, evaluate, compose_tiny(run_name="two"))
    assert batches % 2 == 1, "shares must differ for this to be a test"
    assert [share for share, *_ in two] == [batches // 2 + 1, batches // 2]
    for _, values_two, summary_two, rows_two in two:
        assert values_two == pytest.approx(values, rel=1e-6)
        assert rows_two == rows
        for rates in (summary["argmax"], summary_two["argmax"]):
            rates.pop("decode_seconds", None)
        assert summary_two == summary
    assert len({row["utterance_id"] for row in rows}) == len(rows) == 24
    tables = [(tmp_path / name / "tables" / "val.csv").read_bytes() for name in ("one", "two")]
    assert tables[0] == tables[1]


# Training


def train(config):
    trainer = start(config)
    trainer.stream = _Recorded(trainer.stream, heard := [])
    trainer.train()
    return trainer.step, heard, trainer.best


class _Recorded:
    """A stream that remembers the utterances of each batch."""

    def __init__(self, stream, heard):
        self.stream, self.heard = stream, heard

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def __iter__(self):
        for batch in self.stream:
            self.heard.append(batch["utterance_id"])
            yield batch


def test_ranks_hear_disjoint_shares_that_are_all_the_data(compose_tiny, tmp_path):
    config = compose_tiny("trainer.epochs=1", "trainer.epoch_len=null")
    (steps, first, best), (steps_1, second, best_1) = on_ranks(2, train, config)
    assert (steps, best) == (steps_1, best_1)
    assert len(first) == len(second) == steps
    heard = [name for batch in first + second for name in batch]
    assert len(heard) == len(set(heard)) == 24
    weights = load_file(tmp_path / "run" / LAST)
    assert not [name for name in weights if name.startswith("module.")]
    with (tmp_path / "run/metrics.csv").open() as file:
        assert [row["mode"] for row in csv.DictReader(file)].count("val") == 1


def metric_rows(run_dir, columns):
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [[json.loads(line).get(column) for column in columns] for line in lines]


def signalled(config, at_step):
    """Rank 1 alone gets SIGTERM, in the middle of its step."""
    trainer = start(config)
    process_batch = trainer.process_batch

    def process_batch_and_be_signalled(batch):
        if rank() == 1 and trainer.step == at_step and trainer.model.training:
            os.kill(os.getpid(), signal.SIGTERM)
        return process_batch(batch)

    trainer.process_batch = process_batch_and_be_signalled
    try:
        trainer.train()
    except Interrupted as interrupted:
        return str(interrupted), trainer.step


def test_a_signal_to_one_rank_stops_all_at_the_same_step(compose_tiny, tmp_path):
    """And they go on from there to the same weights to the bit: each rank gets its own random
    numbers back, on which dropout and SpecAugment draw."""
    on_ranks(2, train, compose_tiny(run_name="whole"))
    assert on_ranks(2, signalled, compose_tiny(run_name="stopped"), 7) == [
        ("stopped by a signal to another process of the run", 8),
        ("stopped by SIGTERM", 8),
    ]
    stopped = tmp_path / "stopped"
    assert load_training_state(stopped / "checkpoints/last")["step"] == 8
    on_ranks(2, train, compose_tiny(f"trainer.resume_from={stopped}", run_name="stopped"))
    weights = [load_file(tmp_path / name / LAST) for name in ("whole", "stopped")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    columns = ("step", "mode", "loss", "grad_norm", "lr", "argmax/wer")
    assert metric_rows(stopped, columns) == metric_rows(tmp_path / "whole", columns)


def signalled_in_evaluation(config):
    """SIGTERM reaches the rank with one batch fewer once it has done them all."""
    trainer = start(config)
    metrics_update = trainer.metrics.update
    done = []

    def update(batch):
        done.append(metrics_update(batch))
        if rank() == 1 and len(done) == len(trainer.loaders["val"]):
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.metrics.update = update
    try:
        trainer.train()
    except Interrupted:
        return trainer.step, trainer.evaluation_due


def test_a_signal_in_an_evaluation_is_heard_by_all(compose_tiny, tmp_path):
    answers = on_ranks(2, signalled_in_evaluation, compose_tiny("trainer.epochs=1"))
    assert answers == [(6, True)] * 2
    assert load_training_state(tmp_path / "run/checkpoints/last")["evaluation_due"]


def poisoned(config):
    """A loss that is not a number on rank 1, from step 3 on."""
    trainer = start(config)
    process_batch = trainer.process_batch

    def process_batch_and_poison(batch):
        batch = process_batch(batch)
        if rank() == 1 and trainer.step >= 2:
            batch["loss"] = batch["loss"] * math.nan
        return batch

    trainer.process_batch = process_batch_and_poison
    trainer.stream = _Recorded(trainer.stream, heard := [])
    try:
        trainer.train()
    except UserError as error:
        return str(error), trainer.step, trainer.skipped_steps.total, heard


def test_a_loss_that_is_no_number_on_one_rank_is_skipped_on_all(compose_tiny, tmp_path):
    one, two = on_ranks(2, poisoned, compose_tiny("trainer.max_skipped_steps=2"))
    assert one[:3] == two[:3]
    assert "gradients of 2 steps in a row" in one[0]
    assert one[1:3] == (3, 2)  # two good steps, and the second bad one stopped the run
    kept = torch.load(tmp_path / "run/checkpoints/skipped_steps/step_4.pt", weights_only=False)
    names = [batch["utterance_id"] for batch in kept["batches"]]
    assert names == [one[3][3], two[3][3]]
    assert len(kept["random"]) == 2


def test_another_number_of_processes_cannot_resume(compose_tiny, tmp_path):
    on_ranks(2, train, compose_tiny("trainer.epochs=1"))
    with pytest.raises(UserError, match=r"run in 2 processes and cannot go on in 1.*torchrun"):
        start(compose_tiny(f"trainer.resume_from={tmp_path / 'run'}"))


def test_more_processes_than_batches_share_utterances(compose_tiny):
    config = compose_tiny("dataloader.max_batch_seconds=1000", "trainer.epoch_len=1")
    (_, first, _), (_, second, _) = on_ranks(2, train, config)
    assert [len(batch) for batch in first + second] == [12] * 4  # 1 step in each of 2 epochs


# Inference


def transcribe(config, run_dir, save_dir):
    pretrained = load_pretrained(run_dir)
    metrics = build_metrics(config.metrics, pretrained.text_encoder, pretrained.frame_seconds)
    inferencer = Inferencer(pretrained, metrics, save_dir, max_batch_seconds=2.0, num_workers=0)
    return [
        inferencer.transcribe(split, dataset) for split, dataset in build_datasets(config).items()
    ]


def test_inference_on_two_ranks_writes_what_one_writes(compose_tiny, tmp_path):
    config = compose_tiny("trainer.epochs=1")
    on_ranks(1, train, config)
    for count in (1, 2):
        on_ranks(count, transcribe, config, tmp_path / "run", tmp_path / str(count))
    one, two = (
        {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "1", tmp_path / "2")
    )
    assert one.keys() == two.keys()
    assert len([path for path in one if path.suffix == ".txt"]) == 3 * 24
    for name, path in one.items():
        if name.name == "summary.json":
            assert without_times(path) == without_times(two[name])
        else:
            assert path.read_bytes() == two[name].read_bytes(), name


TIMES = {"decode_seconds", "seconds", "real_time_factor"}


def without_times(path):
    summary = json.loads(path.read_text())
    return [
        {name: value for name, value in rates.items() if name not in TIMES}
        for decoders in summary.values()
        for rates in decoders.values()
    ]
