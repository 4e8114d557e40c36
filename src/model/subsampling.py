"""Convolutional subsampling in time (section 2.1 of arXiv 2005.08100)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from src.utils.masking import length_mask


class ConvolutionSubsampling(nn.Module):
    """log2(`factor`) convolutions of stride 2 in time and frequency, then a linear layer.

    Each convolution (3 x 3, padded by one, ReLU) halves both axes, rounding up, so that any
    utterance keeps at least one frame. Frames beyond an utterance's end are set to zero before
    every convolution, as the padding of an utterance that stands alone is.
    """

    def __init__(self, n_features: int, d_model: int, factor: int = 4, channels: int = 64) -> None:
        super().__init__()
        if factor not in (2, 4, 8):
            raise ValueError(f"subsampling factor {factor} is not one of 2, 4, 8")
        self.factor = factor
        self.convolutions = nn.ModuleList()
        bands = n_features
        for layer in range(int(math.log2(factor))):
            in_channels = channels if layer else 1
            convolution = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
            convolution = convolution.to(memory_format=torch.channels_last)  # type: ignore
            self.convolutions.append(convolution)
            bands = (bands + 1) // 2
        self.linear = nn.Linear(channels * bands, d_model)

    def output_length(self, feature_length: Tensor) -> Tensor:
        """Frames that remain of `feature_length` [B]: divided by `factor`, rounded up."""
        return (feature_length + self.factor - 1) // self.factor

    def forward(self, features: Tensor, feature_length: Tensor) -> tuple[Tensor, Tensor]:
        """features [B, F, M] -> [B, T, D] and lengths [B]; T = ceil(F / factor)."""
        x, length = features[:, None], feature_length
        for convolution in self.convolutions:
            x = x * length_mask(length, x.shape[2])[:, None, :, None]
            x = convolution(x).relu()
            length = (length + 1) // 2
        return self.linear(x.permute(0, 2, 3, 1).flatten(start_dim=2)), length
