"""The sound of rooms, by their measured impulse responses."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from src.transforms.augmentation import Augmentation, at_the_level_of
from src.transforms.draws import Draws
from src.transforms.waveform.clip_bank import recordings_in
from src.transforms.waveform.frequency_response import filter_spectrum, transform_size
from src.utils.audio import read_audio
from src.utils.errors import UserError


class Reverberation(Augmentation):
    """Convolves with an impulse response from `folder`.

    What comes before a response's peak, the direct sound, is cut off, so that words keep their
    times; what rings on beyond the utterance's end too. The energy stays that of the dry utterance.

    Args:
        folder: of impulse responses in any format, rate and folders.
        max_seconds: of a response that are used.
    """

    stage = "room"

    def __init__(
        self,
        folder: str,
        max_seconds: float = 1.0,
        sample_rate: int = 16000,
        probability: float = 1.0,
    ) -> None:
        super().__init__(probability)
        if not max_seconds > 0:
            raise ValueError(f"max_seconds {max_seconds} must be above 0")
        self.paths = recordings_in(folder)
        self.sample_rate = sample_rate
        self.max_samples = max(1, round(max_seconds * sample_rate))
        self._responses: dict[torch.device, Tensor] = {}

    def augment(self, x: Tensor, length: Tensor, draws: Draws) -> Tensor:
        """audio [B, S], samples [B] -> [B, S]."""
        responses = self.responses(x.device)
        which = torch.from_numpy(draws.integers(len(responses))).to(x.device, non_blocking=True)
        size = transform_size(x.shape[1] + responses.shape[1])
        spectra = torch.fft.rfft(responses, n=size)
        wet = self._within(filter_spectrum(x, spectra[which], size), length)
        return at_the_level_of(x, wet)

    def responses(self, device: torch.device) -> Tensor:
        """[N, R], zeros behind the shorter ones, the direct sound first."""
        if device not in self._responses:
            found = [self._direct_sound_first(path) for path in self.paths]
            self._responses[device] = nn.utils.rnn.pad_sequence(found, batch_first=True).to(device)
        return self._responses[device]

    def _direct_sound_first(self, path: Path) -> Tensor:
        response = read_audio(path, self.sample_rate)
        peak = int(response.abs().argmax())
        if response[peak] == 0:
            raise UserError(f"{path} is silent: no impulse response")
        response = response[peak : peak + self.max_samples]
        return response / response.square().sum().sqrt()
