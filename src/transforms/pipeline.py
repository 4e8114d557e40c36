"""The way from a batch of waveforms to what the model hears."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from src.transforms.log_mel import LogMel
from src.transforms.normalize_features import normalize_features


class Transforms(nn.Module):
    """Waveform augmentations, log-mel, normalisation, spectrogram augmentations, in that order.

    Augmentations act in training mode only. A waveform augmentation maps (audio [B, S],
    audio_length [B]) to the same pair; a spectrogram augmentation maps (features [B, F, M],
    feature_length [B]) to features.
    """

    def __init__(
        self,
        log_mel: LogMel,
        wave_augmentations: Sequence[nn.Module] = (),
        spec_augmentations: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.log_mel = log_mel
        self.wave_augmentations = nn.ModuleList(wave_augmentations)
        self.spec_augmentations = nn.ModuleList(spec_augmentations)

    def forward(self, audio: Tensor, audio_length: Tensor, **batch: object) -> dict[str, Tensor]:
        """audio [B, S], audio_length [B] -> `features` [B, F, M], `feature_length` [B]."""
        if self.training:
            for augment in self.wave_augmentations:
                audio, audio_length = augment(audio, audio_length)
        features, feature_length = self.log_mel(audio, audio_length)
        features = normalize_features(features, feature_length)
        if self.training:
            for augment in self.spec_augmentations:
                features = augment(features, feature_length)
        return {"features": features, "feature_length": feature_length}
