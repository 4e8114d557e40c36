"""Low-pass and high-pass filters, as of microphones and rooms.

torchaudio's biquads are recursive, sample after sample, and have one cut-off for a whole batch;
torch-audiomentations' filters have windowed sinc kernels. These have the gain of a Butterworth
filter at each frequency: batched, no loop, and known in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from src.transforms.augmentation import Augmentation, interval
from src.transforms.draws import Draws
from src.transforms.waveform.frequency_response import (
    butterworth_high_pass,
    butterworth_low_pass,
    filter_spectrum,
    frequencies,
    transform_size,
)


class PassFilter(Augmentation):
    """-3 dB at the cut-off, `order` x 6 dB an octave beyond.

    Cut-offs are drawn from [low, high] Hz, evenly in octaves.
    """

    stage = "microphone"
    response: Callable[[Tensor, Tensor, int], Tensor]

    def __init__(
        self,
        cutoff: Sequence[float],
        order: int = 2,
        sample_rate: int = 16000,
        probability: float = 1.0,
    ) -> None:
        super().__init__(probability)
        if order < 1:
            raise ValueError(f"order {order} is no filter; use 1 or more")
        self.cutoff = interval("cutoff", cutoff, 1, sample_rate / 2)
        self.order = order
        self.sample_rate = sample_rate

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S]."""
        low, high = self.cutoff
        cutoff = low * (high / low) ** draws.uniform(device=x.device)
        size = transform_size(x.shape[1])
        hertz = frequencies(size, self.sample_rate, x.device)
        return filter_spectrum(x, type(self).response(hertz, cutoff, self.order), size)


class LowPass(PassFilter):
    """Muffles: what is above the cut-off goes."""

    response = staticmethod(butterworth_low_pass)

    def __init__(
        self,
        cutoff: Sequence[float] = (2000, 7000),
        order: int = 2,
        sample_rate: int = 16000,
        probability: float = 1.0,
    ) -> None:
        super().__init__(cutoff, order, sample_rate, probability)


class HighPass(PassFilter):
    """Thins: what is below the cut-off goes."""

    response = staticmethod(butterworth_high_pass)

    def __init__(
        self,
        cutoff: Sequence[float] = (50, 500),
        order: int = 2,
        sample_rate: int = 16000,
        probability: float = 1.0,
    ) -> None:
        super().__init__(cutoff, order, sample_rate, probability)
