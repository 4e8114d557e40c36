"""Where audio and text come from, and how they become batches."""

from src.datasets.alignable import ctc_frames_needed, drop_unalignable
from src.datasets.base_dataset import BaseDataset
from src.datasets.batch_sampler import DurationBatchSampler
from src.datasets.collate import Collate
from src.datasets.custom_dir_audio import CustomDirAudioDataset
from src.datasets.librispeech import LibriSpeechDataset
from src.datasets.manifest import ManifestDataset
from src.datasets.mixture import MixtureDataset
from src.datasets.speed_perturbation import SpeedPerturbedDataset
from src.datasets.synthetic_speech import SyntheticSpeechDataset
from src.utils.audio import AUDIO_EXTENSIONS, audio_duration, read_audio

__all__ = [
    "AUDIO_EXTENSIONS",
    "BaseDataset",
    "Collate",
    "CustomDirAudioDataset",
    "DurationBatchSampler",
    "LibriSpeechDataset",
    "ManifestDataset",
    "MixtureDataset",
    "SpeedPerturbedDataset",
    "SyntheticSpeechDataset",
    "audio_duration",
    "ctc_frames_needed",
    "drop_unalignable",
    "read_audio",
]
