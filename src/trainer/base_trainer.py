"""The training loop, from the first step to the last, whatever one batch is.

A subclass says what a batch is (`process_batch`) and what is worth looking at (`log_examples`).
The loop counts optimizer steps; an epoch is a number of them.
"""

from __future__ import annotations

import logging
import math
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm import tqdm

from src.logger import BaseWriter
from src.metrics import MetricTracker, RecognitionMetrics, update_summary, write_table
from src.text_encoder import CTCTextEncoder
from src.trainer.batch_stream import BatchStream
from src.trainer.checkpoint import (
    find_checkpoint,
    find_resumable,
    load_training_state,
    load_weights,
    save_checkpoint,
)
from src.trainer.distributed import (
    all_gather,
    any_rank,
    data_parallel,
    is_main,
    on_main,
    rank,
    sum_over_ranks,
    synchronised,
    world_size,
)
from src.trainer.dropout_schedule import DropoutSchedule
from src.trainer.ema import WeightEMA
from src.trainer.gradients import scale_and_clip
from src.trainer.settings import PRECISIONS
from src.trainer.skipped_steps import SkippedSteps, Step
from src.utils.errors import UserError
from src.utils.interruption import Interrupted, Interruption
from src.utils.random_state import random_state, restore_random_state, torch_random_state

logger = logging.getLogger(__name__)

LOSSES = ("loss", "ctc_loss", "intermediate_loss", "consistency_loss")
Batch = dict[str, Any]


class BaseTrainer:
    """Owns the loop: steps, evaluation, checkpoints, early stopping, logging, resuming.

    Arguments beyond the parts it is built from (all in `configs/trainer/`):
        epochs, epoch_len: how long; an epoch is `epoch_len` optimizer steps, by default one pass.
        accumulation: batches per optimizer step.
        max_grad_norm: gradients are clipped to this norm; the norm before clipping is logged.
        precision: float32, or autocast to bf16 or fp16.
        ema_decay: evaluates and saves this exponential average of the weights; null for themselves.
        dropout_schedule: [share of training, p] pairs, see `DropoutSchedule`; null for the model's.
        log_every, eval_every, save_every: in optimizer steps; `eval_every` null is each epoch,
            `save_every` null keeps only the best and the last checkpoint.
        keep: of the checkpoints of `save_every`, so many; null is all.
        monitor: what decides on the best checkpoint: `loss`, `argmax/wer`, ...; lower is better.
        patience: evaluations without improvement before training stops; null is never.
        target: training stops as soon as the monitored value is this low; null is never.
        max_skipped_steps: a step whose gradients are not finite leaves the weights alone; after so
            many in a row training stops.
        resume_from: a run folder (its newest good checkpoint) or a checkpoint folder.

    SIGTERM and SIGINT end the step in progress, or abandon the evaluation in progress, and raise
    `Interrupted` once a checkpoint is written.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        transforms: nn.Module,
        criterion: nn.Module,
        optimizer: Optimizer,
        lr_scheduler: LRScheduler,
        text_encoder: CTCTextEncoder,
        loaders: dict[str, DataLoader],
        metrics: RecognitionMetrics,
        writer: BaseWriter,
        run_dir: Path,
        device: torch.device,
        epochs: int,
        steps_per_epoch: int,
        accumulation: int = 1,
        max_grad_norm: float = 5.0,
        precision: str = "float32",
        ema_decay: float | None = None,
        dropout_schedule: Sequence[tuple[float, float]] | None = None,
        log_every: int = 50,
        eval_every: int | None = None,
        save_every: int | None = None,
        keep: int | None = None,
        monitor: str = "argmax/wer",
        patience: int | None = None,
        target: float | None = None,
        max_skipped_steps: int = 10,
        resume_from: str | None = None,
    ) -> None:
        self.model, self.transforms, self.criterion = model, transforms, criterion
        self.network = data_parallel(model)
        self.optimizer, self.lr_scheduler = optimizer, lr_scheduler
        self.text_encoder, self.metrics, self.writer = text_encoder, metrics, writer
        self.loaders, self.run_dir, self.device = loaders, run_dir, device
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = epochs * steps_per_epoch
        self.accumulation, self.max_grad_norm, self.precision = (
            accumulation,
            max_grad_norm,
            precision,
        )
        self.log_every = log_every
        self.eval_every = eval_every or steps_per_epoch
        self.save_every, self.keep = save_every, keep
        self.monitor, self.patience, self.target = monitor, patience, target
        # the sum over a batch's utterances overflows earlier than their mean
        self.scaler = torch.amp.GradScaler(
            device.type, init_scale=1024.0, enabled=precision == "fp16"
        )
        self.ema = WeightEMA(model, ema_decay) if ema_decay else None
        self.dropout_schedule = (
            DropoutSchedule(dropout_schedule, self.total_steps) if dropout_schedule else None
        )
        self.stream = BatchStream(loaders["train"])
        self.tracker = MetricTracker()
        self.skipped_steps = SkippedSteps(max_skipped_steps, run_dir, model)
        self.interruption = Interruption()
        self.step = 0
        self.evaluation_due = False
        self.best = math.inf
        self.evaluations_since_best = 0
        if resume_from:
            self._resume(resume_from)

    # What a subclass says

    def process_batch(self, batch: Batch) -> Batch:
        """The batch with features, log-probabilities and `loss` added; on the device."""
        raise NotImplementedError

    def log_examples(self, batch: Batch) -> None:
        """Shows the writer something of a batch that was just evaluated."""

    def log_training_example(self, batch: Batch) -> None:
        """Shows the writer something of an epoch's first batch, as the loader gave it."""

    # Training

    def train(self) -> None:
        """From the current step to the last, or until a stopping rule holds.

        Raises:
            Interrupted: a signal came; `last` is the checkpoint of the step that it found.
        """
        with self.interruption, self._progress_bar() as bar:
            try:
                self._train(bar)
            except Interrupted as interrupted:
                self._save("last")
                self._say_how_to_resume(interrupted)
                raise

    def _train(self, bar: tqdm) -> None:
        batches = iter(self.stream)
        self._start_clock()
        went_on = False
        while self.evaluation_due or (self.step < self.total_steps and not self._should_stop()):
            went_on = True
            if not self.evaluation_due:  # as it is where an evaluation was interrupted
                self._optimizer_step(batches)
                bar.update()
                last = self.step == self.total_steps
                if self.step % self.log_every == 0 or last:
                    self._log_training()
                self.evaluation_due = self.step % self.eval_every == 0 or last
            evaluated = improved = False
            if self.evaluation_due:
                evaluated, improved = True, self._validate()
                self._start_clock()
            self._save_what_is_due(evaluated, improved)
            self.interruption.check(any_rank)
        if not went_on:  # resumed at its end: a kill after `best` may have left an older `last`
            self._save("last")

    def _optimizer_step(self, batches: Iterator[Batch]) -> None:
        self.model.train()
        self.transforms.train()
        if self.dropout_schedule:
            self.dropout_schedule.apply(self.model, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        step = Step(self.step + 1, [], [])
        utterances = torch.zeros((), device=self.device)
        for number in range(1, self.accumulation + 1):
            wait_from = time.perf_counter()
            batch = next(batches)
            self.waited += time.perf_counter() - wait_from
            self.audio_seconds += sum(batch["duration"])
            step.batches.append(batch)
            step.random.append(torch_random_state(self.device))
            with synchronised(self.network, when=number == self.accumulation):
                with self._autocast():
                    batch = self.process_batch(batch)
                aligned = len(batch["token_length"]) - batch["infinite_losses"]
                self.scaler.scale(batch["loss"] * aligned).backward()
            utterances += aligned
            finite = batch["loss"].isfinite()
            for name in [name for name in LOSSES if name in batch]:
                self.tracker.update(name, batch[name], weight=len(batch["text"]) * finite)
            self.tracker.update("infinite_losses", batch["infinite_losses"].float())
        self.scaler.unscale_(self.optimizer)
        # the mean over the utterances of all batches and ranks, however they were divided
        mean = world_size() / sum_over_ranks(utterances).clamp_min(1)
        norm = scale_and_clip(self.model.parameters(), mean, self.max_grad_norm)
        self.tracker.update("grad_norm", norm, weight=norm.isfinite())
        self._update_weights(step, norm)
        self.lr_scheduler.step()
        if self.ema:
            self.ema.update()
        if self.step % self.steps_per_epoch == 0 and is_main():
            self.writer.set_step(self.step + 1, "train")
            self.log_training_example(step.batches[0])
        self.step += 1

    def _update_weights(self, step: Step, norm: torch.Tensor) -> None:
        """An optimizer step, without effect where the norm of the gradients is not finite.

        A fused optimizer takes `found_inf` and decides on the device, so that nothing waits for
        the norm; another has to be told by the CPU. The schedule, a function of the step, goes on
        in either case.
        """
        skip = ~norm.isfinite()
        # fp16's scaler finds its scale by overflowing; only at a scale of 1 are gradients to blame
        scale = self.scaler.scale(torch.ones((), device=norm.device))
        self.skipped_steps.add(step, skip & (scale <= 1))
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif getattr(self.optimizer, "_step_supports_amp_scaling", False):
            self.optimizer.found_inf = skip.float()  # type: ignore[attr-defined]
            self.optimizer.step()
        elif not skip:
            self.optimizer.step()

    def _log_training(self) -> None:
        self.tracker.pool(all_gather)
        means = {"loss": math.nan, "grad_norm": math.nan, **self.tracker.means()}
        self.tracker.reset()
        self.skipped_steps.read()
        elapsed = time.perf_counter() - self.clock
        spent = torch.tensor([self.audio_seconds, self.waited / world_size()])
        audio_seconds, waited = sum_over_ranks(spent).tolist()
        row = {
            **means,
            "skipped_steps": self.skipped_steps.total,
            "lr": self.optimizer.param_groups[0]["lr"],
            "epoch": self.step / self.steps_per_epoch,
            "audio_hours_per_second": audio_seconds / 3600 / elapsed,
            "data_wait_share": waited / elapsed,
        }
        self.writer.set_step(self.step, "train")
        self.writer.add_scalars(row)
        self.writer.flush()
        logger.info(
            "step %d/%d  loss %.3f  grad norm %.2f  lr %.1e  %.0fx real time, "
            "%.0f%% waiting for data",
            *(self.step, self.total_steps, row["loss"], row["grad_norm"], row["lr"]),
            *(audio_seconds / elapsed, 100 * row["data_wait_share"]),
        )
        if means["infinite_losses"]:
            logger.warning(
                "%.2f utterances a batch cannot be aligned (infinite CTC loss) and were left out",
                means["infinite_losses"],
            )
        self._start_clock()

    def _start_clock(self) -> None:
        self.clock = time.perf_counter()
        self.waited = self.audio_seconds = 0.0

    # Evaluation

    @torch.inference_mode()
    def evaluate(self, split: str) -> dict[str, float]:
        """Loss and every decoder's error rates on one split; summary.json and tables follow."""
        self.model.eval()
        self.transforms.eval()
        self.metrics.reset()
        losses = MetricTracker()
        self.writer.set_step(self.step, split)
        loader, hidden = self.loaders[split], None if is_main() else True
        longest_share = on_main(len, loader)
        for number, batch in enumerate(tqdm(loader, split, leave=False, disable=hidden)):
            self.interruption.check(any_rank)
            with self._autocast():
                batch = self.process_batch(batch)
            losses.update("loss", batch["loss"], weight=len(batch["text"]))
            losses.update("infinite_losses", batch["infinite_losses"].float())
            self.metrics.update(batch)
            if number == 0 and is_main():
                self.log_examples(batch)
        for _ in range(len(loader), longest_share):
            self.interruption.check(any_rank)  # as often as the ranks that have a batch more
        losses.pool(all_gather)
        self.metrics.pool(all_gather)
        summary = self.metrics.summary()
        values = losses.means()
        for decoder, rates in summary.items():
            if "wer" not in rates:
                continue
            for name in ("wer", "cer"):
                values[f"{decoder}/{name}"] = rates[name]
            logger.info(
                "%s at step %d: loss %.3f, %s WER %.2f%%, CER %.2f%% on %d utterances",
                *(split, self.step, values["loss"], decoder),
                *(100 * rates["wer"], 100 * rates["cer"], rates["utterances"]),
            )
        self.writer.add_scalars(values)
        self.writer.flush()
        return values

    def _validate(self) -> bool:
        """Evaluates `val`; whether it is the best so far."""
        with self._weights_to_keep():
            values = self.evaluate("val")
        self.evaluation_due = False
        if not values[self.monitor] < self.best:
            self.evaluations_since_best += 1
            return False
        self.best = values[self.monitor]
        self.evaluations_since_best = 0
        on_main(self._report, "val")
        return True

    def _report(self, split: str) -> None:
        update_summary(self.run_dir / "summary.json", split, self.metrics.summary())
        write_table(self.metrics.rows(), self.run_dir / "tables" / f"{split}.csv")

    def test(self) -> dict[str, dict[str, Any]]:
        """The best checkpoint on every split that took no part in training or selection."""
        load_weights(find_checkpoint(self.run_dir, prefer=("best", "last")), self.model)
        summaries = {}
        with self.interruption:
            try:
                for split in self.loaders:
                    if split not in ("train", "val"):
                        self.evaluate(split)
                        on_main(self._report, split)
                        summaries[split] = self.metrics.summary()
            except Interrupted as interrupted:
                self._say_how_to_resume(interrupted)
                raise
        return summaries

    def _should_stop(self) -> bool:
        if self.target is not None and self.best <= self.target:
            logger.info("%s reached %g at step %d", self.monitor, self.best, self.step)
            return True
        if self.patience is not None and self.evaluations_since_best >= self.patience:
            logger.info("no better %s in %d evaluations", self.monitor, self.patience)
            return True
        return False

    # Checkpoints

    def _save_what_is_due(self, evaluated: bool, improved: bool) -> None:
        """`last` comes last: wherever a kill falls, the newest checkpoint has its companions."""
        if improved:
            self._save("best")
        if self.save_every and self.step % self.save_every == 0:
            self._save(f"step_{self.step}")
            on_main(self._remove_old_steps)
        if evaluated:
            self._save("last")

    def _save(self, name: str) -> None:
        state = {
            "step": self.step,
            "evaluation_due": self.evaluation_due,
            "best": self.best,
            "evaluations_since_best": self.evaluations_since_best,
            "ranks": all_gather({"random": random_state(), "tracker": self.tracker.state_dict()}),
            **{part: stateful.state_dict() for part, stateful in self._stateful().items()},
        }
        with self._weights_to_keep():
            if self.ema:
                state["ema"] = self.ema.state_dict()
            on_main(save_checkpoint, self.run_dir / "checkpoints" / name, self.model, state)

    def _stateful(self) -> dict[str, Any]:
        """What has a state of its own, the same on all ranks; by its name in the checkpoint."""
        return {
            "stream": self.stream,
            "optimizer": self.optimizer,
            "lr_scheduler": self.lr_scheduler,
            "scaler": self.scaler,
            "skipped_steps": self.skipped_steps,
        }

    def _resume(self, path: str) -> None:
        checkpoint = find_resumable(path)
        if checkpoint is None:
            raise UserError(f"no checkpoint in {path}; name a run folder that train.py wrote")
        load_weights(checkpoint, self.model)
        state = load_training_state(checkpoint)
        if len(state["ranks"]) != world_size():
            raise UserError(
                f"{checkpoint} is of a run in {len(state['ranks'])} processes and cannot go on in "
                f"{world_size()}; start as many (torchrun --nproc-per-node=...)"
            )
        if (self.ema is not None) != ("ema" in state):
            raise UserError(
                f"{checkpoint} was written {'with' if 'ema' in state else 'without'} "
                "trainer.ema_decay; resume with the same setting"
            )
        if self.ema:
            self.ema.load_state_dict(state["ema"])
        for part, stateful in self._stateful().items():
            stateful.load_state_dict(state[part])
        self.step, self.evaluation_due = state["step"], state["evaluation_due"]
        self.best = state["best"]
        self.evaluations_since_best = state["evaluations_since_best"]
        own = state["ranks"][rank()]
        self.tracker.load_state_dict(own["tracker"])
        restore_random_state(own["random"])
        logged = {"train"} if self.evaluation_due else {"train", "val"}
        self.writer.truncate_after(self.step, again=self.loaders.keys() - logged)
        logger.info("resumed from %s at step %d", checkpoint, self.step)

    def _remove_old_steps(self) -> None:
        if self.keep is None:
            return
        steps = (self.run_dir / "checkpoints").glob("step_*[0-9]")
        for folder in sorted(steps, key=lambda path: int(path.name[5:]))[: -self.keep]:
            shutil.rmtree(folder)

    def _say_how_to_resume(self, interrupted: Interrupted) -> None:
        if not is_main():
            return
        logger.warning(
            "%s at step %d; the same command goes on from there with trainer.resume_from=%s",
            *(interrupted, self.step, self.run_dir),
        )

    # Small parts

    def _autocast(self) -> AbstractContextManager[Any]:
        enabled = self.precision != "float32"
        return torch.autocast(self.device.type, PRECISIONS[self.precision], enabled=enabled)

    def _weights_to_keep(self) -> AbstractContextManager[Any]:
        """Inside, the model has the weights that are evaluated and saved: EMA, if it is on."""
        return self.ema.in_model() if self.ema else nullcontext()

    def _progress_bar(self) -> tqdm:
        """A bar on a terminal; nothing in a log file, where the logged lines tell as much."""
        return tqdm(
            total=self.total_steps,
            initial=self.step,
            desc="training",
            unit="step",
            disable=not (is_main() and sys.stderr.isatty()),
            dynamic_ncols=True,
        )
