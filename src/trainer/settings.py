"""What a trainer's settings may be; asked before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch

from src.trainer.dropout_schedule import DropoutSchedule
from src.utils.config_errors import did_you_mean
from src.utils.errors import UserError

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
COUNTS = (
    *("epochs", "epoch_len", "accumulation", "log_every", "eval_every", "save_every", "keep"),
    *("patience", "max_skipped_steps"),
)


def check_settings(
    settings: Mapping[str, Any], decoders: Collection[str], device: torch.device
) -> None:
    """Refuses what `BaseTrainer` cannot do; `decoders` are the names in `metrics`.

    Raises:
        UserError: naming the setting and what it may be.
    """
    for name in COUNTS:
        value = settings.get(name)
        if value is not None and value < 1:
            raise UserError(f"trainer.{name}={value}: use 1 or more")
    precision, norm, decay = (settings[n] for n in ("precision", "max_grad_norm", "ema_decay"))
    if precision not in PRECISIONS:
        raise UserError(f"trainer.precision={precision} is not one of {', '.join(PRECISIONS)}")
    if precision == "fp16" and device.type == "cpu":
        raise UserError("trainer.precision=fp16 needs a GPU; on a CPU use bf16 or float32")
    if norm <= 0:
        raise UserError(f"trainer.max_grad_norm={norm} would undo every step; use more than 0")
    if decay is not None and not 0 < decay < 1:
        raise UserError(f"trainer.ema_decay={decay}: use more than 0 and less than 1, or null")
    if settings["dropout_schedule"]:
        DropoutSchedule(settings["dropout_schedule"], total_steps=1)
    monitor = settings["monitor"]
    measured = ["loss", *(f"{decoder}/{rate}" for decoder in decoders for rate in ("wer", "cer"))]
    if monitor not in measured:
        raise UserError(
            f"trainer.monitor={monitor} is not measured{did_you_mean(monitor, measured)} "
            f"(there are {', '.join(measured)})"
        )
