"""A trained recogniser from its run folder: model, text encoder and features together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from src.model import Conformer
from src.text_encoder import CTCTextEncoder, load_text_encoder
from src.trainer.checkpoint import find_checkpoint, load_weights, run_dir_of
from src.trainer.device import to_device
from src.trainer.fingerprint import fingerprint_of
from src.trainer.hub import local_run
from src.trainer.own_classes import refuse_foreign_targets
from src.trainer.run_folder import CONFIG, read_run_config
from src.transforms import Transforms
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.errors import UserError


@dataclass
class Pretrained:
    """What `load_pretrained` found, in evaluation mode and on the device."""

    model: Conformer
    transforms: Transforms
    text_encoder: CTCTextEncoder
    config: DictConfig
    run_dir: Path

    @property
    def frame_seconds(self) -> float:
        return frame_seconds(self.model, self.transforms)

    @property
    def frame_samples(self) -> int:
        """Samples from a frame of log-probabilities to the next."""
        return self.model.subsampling.factor * self.transforms.log_mel.hop_samples

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def fingerprint(self) -> str:
        """The same for the same recogniser, wherever its run folder lies."""
        return fingerprint_of(self.model, self.text_encoder, self.config)

    def process_batch(
        self, batch: dict[str, Any], statistics: FeatureStatistics | None = None
    ) -> dict[str, Any]:
        """The batch with features and log-probabilities added; on the model's device.

        Features are normalised by `statistics`, where what is heard is a part of something longer.
        """
        batch = to_device(batch, self.device)
        if statistics is None:
            batch.update(self.transforms(**batch))
        else:
            features, length = self.transforms.log_mel(batch["audio"], batch["audio_length"])
            features = statistics.normalize(features, length)
            batch.update(features=features, feature_length=length)
        batch.update(self.model(**batch))
        return batch


def frame_seconds(model: Conformer, transforms: Transforms) -> float:
    """Seconds between two frames of log-probabilities."""
    return model.subsampling.factor * transforms.log_mel.hop_seconds


def load_pretrained(
    path: str | Path, device: torch.device | str = "cpu", augment: bool = False
) -> Pretrained:
    """`path` is a run folder (its best checkpoint, else its last), a checkpoint folder, or one on
    the Hub, `hf://USER/REPO[@REVISION]`.

    Nothing that comes with it is executed or unpickled, wherever it is from.

    Args:
        augment: with the augmentations of its training. Inference has no use for them, and they
            may want folders of noise that are not on this machine.

    Raises:
        UserError: it is not there, damaged, of another architecture, or its config names classes
            that are not this repository's.
    """
    checkpoint = find_checkpoint(local_run(path), prefer=("best", "last"))
    run_dir = run_dir_of(checkpoint)
    config = read_run_config(run_dir)
    parts = own_parts(config, run_dir)
    if not augment:
        for kind in ("wave_augmentations", "spec_augmentations"):
            parts["transforms"].pop(kind, None)
    text_encoder = load_text_encoder(run_dir / "text_encoder")
    model = build_part(parts, "model", run_dir, vocab_size=len(text_encoder))
    load_weights(checkpoint, model)
    transforms = build_part(parts, "transforms", run_dir)
    return Pretrained(
        model.to(device).eval(), transforms.to(device).eval(), text_encoder, config, run_dir
    )


def own_parts(config: DictConfig, run_dir: Path) -> dict[str, Any]:
    """The configs of model and transforms as plain values, which name classes of `src` only.

    Raises:
        UserError: there are none, or they name others.
    """
    parts: Any = OmegaConf.to_container(config, resolve=False)
    for name in ("model", "transforms"):
        if not isinstance(parts.get(name), dict):
            raise UserError(f"{run_dir / CONFIG} has no {name}; it is not a run's config")
        refuse_foreign_targets(parts[name], run_dir / CONFIG)
    return parts


def build_part(parts: dict[str, Any], name: str, run_dir: Path, **more: Any) -> Any:
    """The module that a part of the config describes."""
    path = run_dir / CONFIG
    try:
        module = instantiate(parts[name], **more)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        reason = error.__cause__ or str(error).splitlines()[0]
        raise UserError(f"the {name} of {path} cannot be built: {reason}") from error
    if not isinstance(module, torch.nn.Module):
        raise UserError(
            f"the {name} of {path} names no class by _target_; it is not a run's config"
        )
    return module
