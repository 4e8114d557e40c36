"""The way from a batch of waveforms to what the model hears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from src.transforms.augmentation import STAGES, Augmentation
from src.transforms.draws import Draws
from src.transforms.log_mel import LogMel
from src.transforms.normalize_features import normalize_features

Named = Mapping[str, Augmentation]


class Transforms(nn.Module):
    """Waveform augmentations, log-mel, normalisation, spectrogram augmentations, in that order.

    Augmentations act in training mode only, in the order of their stages. What each draws is a
    function of (`seed`, epoch, utterance, its name), see `Draws`.
    """

    def __init__(
        self,
        log_mel: LogMel,
        wave_augmentations: Named | None = None,
        spec_augmentations: Named | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.log_mel = log_mel
        self.wave_augmentations = _by_stage(wave_augmentations or {})
        self.spec_augmentations = _by_stage(spec_augmentations or {})
        self.seed = seed

    @property
    def augments(self) -> bool:
        """Whether training hears anything but the recordings as they are."""
        return bool(self.wave_augmentations or self.spec_augmentations)

    def forward(
        self,
        audio: Tensor,
        audio_length: Tensor,
        utterance_id: Sequence[object] | None = None,
        epoch: int = 0,
        view: int = 0,
        **batch: object,
    ) -> dict[str, Tensor]:
        """audio [B, S], audio_length [B] -> `features` [B, F, M], `feature_length` [B], and
        `augmented_audio` [B, S], which they are of.

        `view` tells apart several passes over one utterance in an epoch. Without ids utterances go
        by their place in the batch.
        """
        draws = Draws.of(self.seed, epoch, utterance_id or range(len(audio)), view)
        if self.training:
            with torch.autocast(audio.device.type, enabled=False):
                for name, augment in self.wave_augmentations.items():
                    audio = augment(audio, audio_length, draws.fork(name))
        features, feature_length = self.log_mel(audio, audio_length)
        features = normalize_features(features, feature_length)
        if self.training:
            for name, augment in self.spec_augmentations.items():
                features = augment(features, feature_length, draws.fork(name))
        return {"features": features, "feature_length": feature_length, "augmented_audio": audio}


def _by_stage(augmentations: Named) -> nn.ModuleDict:
    in_order = sorted(augmentations, key=lambda name: STAGES.index(augmentations[name].stage))
    return nn.ModuleDict({name: augmentations[name] for name in in_order})
