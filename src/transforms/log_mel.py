"""Waveform to log-mel spectrogram, a batch at a time on the training device."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

# Added to every band's power: 15 dB above the rounding noise of 16 bits, about -86 dBFS. It keeps
# digital silence finite and hides what codecs and rounding, the transform's own too, make of bands
# without sound.
FLOOR = 2.0**-19


class LogMel(nn.Module):
    """`n_mels` bands of log power, windows of `window` and steps of `hop` seconds (Hann, HTK mel).

    Beyond its end an utterance is taken as silent, whether it stands alone or is padded in a
    batch, so its frames do not depend on its neighbours.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_mels: int = 80,
        window: float = 0.025,
        hop: float = 0.010,
        n_fft: int = 512,
    ) -> None:
        super().__init__()
        if not (sample_rate > 0 and n_mels > 0 and round(hop * sample_rate) > 0):
            raise ValueError(f"sample_rate {sample_rate}, n_mels {n_mels}, hop {hop}: above 0 each")
        if not 0 < round(window * sample_rate) <= n_fft:
            raise ValueError(f"window {window} s is not within the {n_fft} samples of n_fft")
        self.sample_rate = sample_rate
        self.n_mels = n_mels
        self.hop_samples = round(hop * sample_rate)
        self.mel = MelSpectrogram(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=round(window * sample_rate),
            hop_length=self.hop_samples,
            n_mels=n_mels,
            center=True,
            pad_mode="constant",
        )

    @property
    def hop_seconds(self) -> float:
        return self.hop_samples / self.sample_rate

    def feature_length(self, audio_length: Tensor) -> Tensor:
        """Frames of an utterance of `audio_length` samples."""
        return audio_length // self.hop_samples + 1

    def forward(self, audio: Tensor, audio_length: Tensor) -> tuple[Tensor, Tensor]:
        """audio [B, S], zero beyond each length [B] -> features [B, F, n_mels], lengths [B]."""
        with torch.autocast(audio.device.type, enabled=False):
            power = self.mel(audio.float())
        return (power + FLOOR).log().transpose(1, 2), self.feature_length(audio_length)
