"""Features and augmentations: waveforms in, log-mel features out, both batched."""

from src.transforms.log_mel import LogMel
from src.transforms.normalize_features import normalize_features
from src.transforms.pipeline import Transforms
from src.transforms.spec_augment import SpecAugment

__all__ = ["LogMel", "SpecAugment", "Transforms", "normalize_features"]
