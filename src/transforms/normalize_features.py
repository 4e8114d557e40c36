"""Per-utterance mean and variance normalisation."""

from __future__ import annotations

from torch import Tensor

from src.utils.masking import length_mask


def normalize_features(features: Tensor, feature_length: Tensor) -> Tensor:
    """Each band of each utterance to mean 0 and variance 1 over its own frames; padding to 0.

    features [B, F, M], feature_length [B] -> [B, F, M].
    """
    valid = length_mask(feature_length, features.shape[1])[..., None]
    count = feature_length[:, None, None].clamp_min(1)
    mean = (features * valid).sum(dim=1, keepdim=True) / count
    centred = (features - mean) * valid
    variance = centred.square().sum(dim=1, keepdim=True) / count
    return centred * (variance + 1e-5).rsqrt()
