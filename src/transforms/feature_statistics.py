"""Mean and variance of a recording's features, of which a part at a time is seen."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from src.transforms.log_mel import LogMel
from src.transforms.normalize_features import MIN_VARIANCE
from src.utils.audio_stream import chunks
from src.utils.masking import length_mask

CHUNK_SECONDS = 30


class FeatureStatistics:
    """What `normalize_features` takes from a whole utterance: mean and variance of each band.

    statistics = FeatureStatistics.of(source.blocks(16000), log_mel, device)
    features = statistics.normalize(features, feature_length)    # of any part of the recording
    """

    def __init__(self, mean: Tensor, variance: Tensor) -> None:
        """mean, variance: [M]."""
        self.mean, self.variance = mean, variance

    @classmethod
    def of(
        cls, blocks: Iterable[Tensor], log_mel: LogMel, device: torch.device
    ) -> tuple[FeatureStatistics, int]:
        """Of a recording's waveform in blocks [n], and the number of its samples.

        Its chunks overlap by as much as a frame at their edge reaches over it, so that each frame
        is the one of the whole.
        """
        hop = log_mel.hop_samples
        reach = -(-log_mel.mel.n_fft // 2 // hop)  # frames that an edge touches
        size = max(CHUNK_SECONDS * log_mel.sample_rate // hop, 4 * reach) * hop
        total = squares = torch.zeros((), dtype=torch.float64)
        frames = samples = first = 0
        for chunk, is_last in chunks(blocks, size, 2 * reach * hop):
            length = torch.tensor([len(chunk)], device=device)
            features = log_mel(chunk[None].to(device), length)[0][0]
            last = len(features) if is_last else size // hop - reach
            features = features[first:last].double().cpu()
            total = total + features.sum(dim=0)
            squares = squares + features.square().sum(dim=0)
            frames += len(features)
            samples += len(chunk) if is_last else size - 2 * reach * hop
            first = reach
        mean = total / max(frames, 1)
        variance = (squares / max(frames, 1) - mean.square()).clamp_min(0.0)
        return cls(mean.float().to(device), variance.float().to(device)), samples

    def normalize(self, features: Tensor, feature_length: Tensor) -> Tensor:
        """features [B, F, M], feature_length [B] -> [B, F, M], padding 0."""
        valid = length_mask(feature_length, features.shape[1])[..., None]
        return (features - self.mean) * valid * self.variance.clamp_min(MIN_VARIANCE).rsqrt()
