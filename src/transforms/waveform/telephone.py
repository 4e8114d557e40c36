"""Speech as it comes through a telephone."""

from __future__ import annotations

import torch
import torchaudio.functional as AF
from torch import Tensor

from src.transforms.augmentation import Augmentation
from src.transforms.draws import Draws
from src.transforms.waveform.frequency_response import (
    butterworth_high_pass,
    butterworth_low_pass,
    filter_spectrum,
    frequencies,
    transform_size,
)

BAND = (300.0, 3400.0)  # Hz, ITU-T G.712
LEVELS = 256  # of mu-law, ITU-T G.711


class Telephone(Augmentation):
    """The band of 300 to 3400 Hz in 8 bits of mu-law (torchaudio's), at the rate that it had.

    Coded at 16 kHz, so that the noise of coding reaches 8 kHz, where a telephone's ends at 4.
    """

    stage = "line"

    def __init__(self, order: int = 8, sample_rate: int = 16000, probability: float = 1.0) -> None:
        super().__init__(probability)
        if sample_rate < 2 * BAND[1]:
            raise ValueError(f"sample_rate {sample_rate} is below a telephone's")
        self.order = order
        self.sample_rate = sample_rate

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S] in [-1, 1]."""
        size = transform_size(x.shape[1])
        hertz = frequencies(size, self.sample_rate, x.device)
        low, high = (torch.full((1,), edge, device=x.device) for edge in BAND)
        gain = butterworth_high_pass(hertz, low, self.order)
        gain = gain * butterworth_low_pass(hertz, high, self.order)
        coded = AF.mu_law_encoding(filter_spectrum(x, gain, size).clamp(-1.0, 1.0), LEVELS)
        return AF.mu_law_decoding(coded, LEVELS)
