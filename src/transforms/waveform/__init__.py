"""Augmentations of waveforms [B, S]; speed perturbation is in `src.datasets`."""

from src.transforms.waveform.clipping import Clipping
from src.transforms.waveform.dropouts import Dropouts
from src.transforms.waveform.gain import Gain
from src.transforms.waveform.noise import BackgroundNoise, ColouredNoise
from src.transforms.waveform.pass_filters import HighPass, LowPass
from src.transforms.waveform.pitch_shift import PitchShift
from src.transforms.waveform.reverberation import Reverberation
from src.transforms.waveform.telephone import Telephone

__all__ = [
    "BackgroundNoise",
    "Clipping",
    "ColouredNoise",
    "Dropouts",
    "Gain",
    "HighPass",
    "LowPass",
    "PitchShift",
    "Reverberation",
    "Telephone",
]
