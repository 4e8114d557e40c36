"""Augmentations of normalised features [B, F, M]."""

from src.transforms.spectrogram.spec_augment import SpecAugment
from src.transforms.spectrogram.time_warp import TimeWarp

__all__ = ["SpecAugment", "TimeWarp"]
