"""Per-utterance mean and variance normalisation."""

from __future__ import annotations

import torch
from torch import Tensor

from src.utils.masking import length_mask

# In squared nats: a band whose level varies by less than 4 dB carries no speech, only what rounding
# made of silence, or of what a telephone or an MP3 cut off; it is not made as loud as the others.
MIN_VARIANCE = 1.0


def normalize_features(features: Tensor, feature_length: Tensor) -> Tensor:
    """Each band of each utterance to mean 0 and variance 1 over its own frames; padding to 0.

    features [B, F, M], feature_length [B] -> [B, F, M].

    The mean is summed in float64: in a band of digital silence that is the band itself, and what is
    left is 0. Variances count as `MIN_VARIANCE` at least.
    """
    valid = length_mask(feature_length, features.shape[1])[..., None]
    count = feature_length[:, None, None].clamp_min(1)
    total = (features * valid).sum(dim=1, keepdim=True, dtype=torch.float64)
    mean = (total / count).to(features.dtype)
    centred = (features - mean) * valid
    variance = centred.square().sum(dim=1, keepdim=True) / count
    return centred * variance.clamp_min(MIN_VARIANCE).rsqrt()
