"""Features and augmentations: waveforms in, log-mel features out, both batched."""

from src.transforms.draws import Draws
from src.transforms.log_mel import LogMel
from src.transforms.normalize_features import normalize_features
from src.transforms.pipeline import Transforms
from src.transforms.spectrogram import SpecAugment, TimeWarp
from src.transforms.waveform import (
    BackgroundNoise,
    Clipping,
    ColouredNoise,
    Dropouts,
    Gain,
    HighPass,
    LowPass,
    PitchShift,
    Reverberation,
    Telephone,
)

__all__ = [
    "BackgroundNoise",
    "Clipping",
    "ColouredNoise",
    "Draws",
    "Dropouts",
    "Gain",
    "HighPass",
    "LogMel",
    "LowPass",
    "PitchShift",
    "Reverberation",
    "SpecAugment",
    "Telephone",
    "TimeWarp",
    "Transforms",
    "normalize_features",
]
