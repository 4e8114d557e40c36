"""The log-mel spectrogram as two convolutions, for runtimes that have no fast Fourier transform."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

from src.transforms.log_mel import FLOOR, LogMel


class ConvolutionalLogMel(nn.Module):
    """What `log_mel` computes, to rounding, from operations that every ONNX runtime has.

    The spectrum is a convolution of the waveform with a windowed cosine and sine for each
    frequency, a step of `hop` at a time; the mel filters are a convolution of width one.
    """

    waves: Tensor  # [2 K, 1, window], cosines and sines of K frequencies
    filters: Tensor  # [n_mels, K, 1]

    def __init__(self, log_mel: LogMel) -> None:
        super().__init__()
        spectrogram = log_mel.mel.spectrogram
        n_fft, length = spectrogram.n_fft, spectrogram.win_length
        time = torch.arange(length, dtype=torch.float64)
        frequency = torch.arange(n_fft // 2 + 1, dtype=torch.float64)
        angle = 2 * math.pi / n_fft * frequency[:, None] * time
        window = spectrogram.window.double().cpu()
        waves = torch.cat([angle.cos() * window, angle.sin() * window])
        filters = log_mel.mel.mel_scale.fb.T.cpu()
        self.register_buffer("waves", waves[:, None].float())
        self.register_buffer("filters", filters[..., None].contiguous())
        self.hop = log_mel.hop_samples
        # a frame's middle is its time; torch.stft centres a window in n_fft, rounding down
        before = n_fft // 2 - (n_fft - length) // 2
        self.reach = (before, length - before)

    def forward(self, audio: Tensor, audio_length: Tensor) -> tuple[Tensor, Tensor]:
        """As `LogMel`: audio [B, S] -> features [B, F, n_mels], lengths [B]."""
        spectrum = conv1d(pad(audio[:, None], self.reach), self.waves, stride=self.hop)
        cosines, sines = spectrum.square().chunk(2, dim=1)
        power = conv1d(cosines + sines, self.filters)
        return (power + FLOOR).log().transpose(1, 2), audio_length // self.hop + 1
