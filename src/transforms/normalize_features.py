"""Per-utterance mean and variance normalisation."""

from __future__ import annotations

import torch
from torch import Tensor

from src.utils.masking import length_mask


def normalize_features(features: Tensor, feature_length: Tensor) -> Tensor:
    """Each band of each utterance to mean 0 and variance 1 over its own frames; padding to 0.

    features [B, F, M], feature_length [B] -> [B, F, M].

    The mean is summed in float64: in a band of digital silence that is the band itself, and what is
    left is 0; of a rounding error the normalisation would make 300 times as much.
    """
    valid = length_mask(feature_length, features.shape[1])[..., None]
    count = feature_length[:, None, None].clamp_min(1)
    total = (features * valid).sum(dim=1, keepdim=True, dtype=torch.float64)
    mean = (total / count).to(features.dtype)
    centred = (features - mean) * valid
    variance = centred.square().sum(dim=1, keepdim=True) / count
    return centred * (variance + 1e-5).rsqrt()
