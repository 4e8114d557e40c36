"""The training loop, from the first step to the last, whatever one batch is.

A subclass says what a batch is (`process_batch`) and what is worth looking at (`log_examples`).
The loop counts optimizer steps; an epoch is a number of them.
"""

from __future__ import annotations

import logging
import math
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
    load_training_state,
    load_weights,
    save_checkpoint,
)
from src.trainer.dropout_schedule import DropoutSchedule
from src.trainer.ema import WeightEMA
from src.utils.errors import UserError
from src.utils.random_state import random_state, restore_random_state

logger = logging.getLogger(__name__)

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
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
        monitor: what decides on the best checkpoint: `loss`, `argmax/wer`, ...; lower is better.
        patience: evaluations without improvement before training stops; null is never.
        target: training stops as soon as the monitored value is this low; null is never.
        resume_from: a run folder (its last checkpoint) or a checkpoint folder.
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
        monitor: str = "argmax/wer",
        patience: int | None = None,
        target: float | None = None,
        resume_from: str | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise UserError(f"trainer.precision {precision!r} is not one of {list(PRECISIONS)}")
        measured = [
            "loss",
            *(f"{name}/{rate}" for name in metrics.decoders for rate in ("wer", "cer")),
        ]
        if monitor not in measured:
            raise UserError(
                f"trainer.monitor={monitor} is not measured; choose one of {', '.join(measured)}"
            )
        self.model, self.transforms, self.criterion = model, transforms, criterion
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
        self.save_every = save_every
        self.monitor, self.patience, self.target = monitor, patience, target
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self.ema = WeightEMA(model, ema_decay) if ema_decay else None
        self.dropout_schedule = (
            DropoutSchedule(dropout_schedule, self.total_steps) if dropout_schedule else None
        )
        self.stream = BatchStream(loaders["train"])
        self.tracker = MetricTracker()
        self.step = 0
        self.best = math.inf
        self.evaluations_since_best = 0
        if resume_from:
            self._resume(find_checkpoint(resume_from, prefer=("last", "best")))

    # What a subclass says

    def process_batch(self, batch: Batch) -> Batch:
        """The batch with features, log-probabilities and `loss` added; on the device."""
        raise NotImplementedError

    def log_examples(self, batch: Batch) -> None:
        """Shows the writer something of a batch that was just evaluated."""

    # Training

    def train(self) -> None:
        """From the current step to the last, or until a stopping rule holds."""
        batches = iter(self.stream)
        self._start_clock()
        with self._progress_bar() as bar:
            while self.step < self.total_steps and not self._should_stop():
                self._optimizer_step(batches)
                bar.update()
                if self.step % self.log_every == 0 or self.step == self.total_steps:
                    self._log_training()
                if self.step % self.eval_every == 0 or self.step == self.total_steps:
                    self._validate()
                    self._start_clock()
                if self.save_every and self.step % self.save_every == 0:
                    self._save(f"step_{self.step}")

    def _optimizer_step(self, batches: Iterator[Batch]) -> None:
        self.model.train()
        self.transforms.train()
        if self.dropout_schedule:
            self.dropout_schedule.apply(self.model, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        for _ in range(self.accumulation):
            wait_from = time.perf_counter()
            batch = next(batches)
            self.waited += time.perf_counter() - wait_from
            self.audio_seconds += sum(batch["duration"])
            with self._autocast():
                batch = self.process_batch(batch)
            self.scaler.scale(batch["loss"] / self.accumulation).backward()
            self.tracker.update("loss", batch["loss"].detach())
            self.tracker.update("infinite_losses", batch["infinite_losses"].float())
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
        self.tracker.update("grad_norm", norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.lr_scheduler.step()
        if self.ema:
            self.ema.update()
        self.step += 1

    def _log_training(self) -> None:
        means = self.tracker.means()
        self.tracker.reset()
        elapsed = time.perf_counter() - self.clock
        row = {
            **means,
            "lr": self.optimizer.param_groups[0]["lr"],
            "epoch": self.step / self.steps_per_epoch,
            "audio_hours_per_second": self.audio_seconds / 3600 / elapsed,
            "data_wait_share": self.waited / elapsed,
        }
        self.writer.set_step(self.step, "train")
        self.writer.add_scalars(row)
        self.writer.flush()
        logger.info(
            "step %d/%d  loss %.3f  grad norm %.2f  lr %.1e  %.0fx real time, "
            "%.0f%% waiting for data",
            *(self.step, self.total_steps, row["loss"], row["grad_norm"], row["lr"]),
            *(self.audio_seconds / elapsed, 100 * row["data_wait_share"]),
        )
        if means["infinite_losses"]:
            logger.warning(
                "%.2f utterances a batch cannot be aligned (infinite CTC loss) and were left out",
                means["infinite_losses"],
            )
        if not math.isfinite(means["loss"]):
            raise UserError(
                f"the loss became {means['loss']} before step {self.step}; resume with a lower "
                f"optimizer.lr: trainer.resume_from={self.run_dir}"
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
        for number, batch in enumerate(tqdm(self.loaders[split], split, leave=False, disable=None)):
            with self._autocast():
                batch = self.process_batch(batch)
            losses.update("loss", batch["loss"], weight=len(batch["text"]))
            losses.update("infinite_losses", batch["infinite_losses"].float())
            self.metrics.update(batch)
            if number == 0:
                self.log_examples(batch)
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

    def _validate(self) -> None:
        """Evaluates `val`, then writes the last and, if it is better, the best checkpoint."""
        with self._weights_to_keep():
            values = self.evaluate("val")
        improved = values[self.monitor] < self.best
        if improved:
            self.best = values[self.monitor]
            self.evaluations_since_best = 0
            self._report("val")
        else:
            self.evaluations_since_best += 1
        self._save("last")
        if improved:
            self._save("best")

    def _report(self, split: str) -> None:
        update_summary(self.run_dir / "summary.json", split, self.metrics.summary())
        write_table(self.metrics.rows(), self.run_dir / "tables" / f"{split}.csv")

    def test(self) -> dict[str, dict[str, Any]]:
        """The best checkpoint on every split that took no part in training or selection."""
        load_weights(find_checkpoint(self.run_dir, prefer=("best", "last")), self.model)
        summaries = {}
        for split in self.loaders:
            if split not in ("train", "val"):
                self.evaluate(split)
                self._report(split)
                summaries[split] = self.metrics.summary()
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

    def _save(self, name: str) -> None:
        state = {
            "step": self.step,
            "best": self.best,
            "evaluations_since_best": self.evaluations_since_best,
            "stream": self.stream.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": self.lr_scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "tracker": self.tracker.state_dict(),
            "random": random_state(),
        }
        with self._weights_to_keep():
            if self.ema:
                state["ema"] = self.ema.state_dict()
            save_checkpoint(self.run_dir / "checkpoints" / name, self.model, state)

    def _resume(self, checkpoint: Path) -> None:
        load_weights(checkpoint, self.model)
        state = load_training_state(checkpoint)
        for name in ("stream", "optimizer", "lr_scheduler", "scaler", "tracker"):
            getattr(self, name).load_state_dict(state[name])
        if (self.ema is not None) != ("ema" in state):
            raise UserError(
                f"{checkpoint} was written {'with' if 'ema' in state else 'without'} "
                "trainer.ema_decay; resume with the same setting"
            )
        if self.ema:
            self.ema.load_state_dict(state["ema"])
        self.step, self.best = state["step"], state["best"]
        self.evaluations_since_best = state["evaluations_since_best"]
        restore_random_state(state["random"])
        self.writer.truncate_after(self.step)
        logger.info("resumed from %s at step %d", checkpoint, self.step)

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
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )
