from __future__ import annotations

import pytest
import torch

from src.transforms import feature_statistics
from src.transforms.feature_statistics import FeatureStatistics
from src.transforms.log_mel import LogMel
from src.transforms.normalize_features import normalize_features


@pytest.mark.parametrize("count", [1, 159, 16000, 16001, 70000, 80000])
@pytest.mark.parametrize("hop", [0.010, 0.0125])
def test_parts_give_what_the_whole_gives(monkeypatch, count, hop):
    monkeypatch.setattr(feature_statistics, "CHUNK_SECONDS", 1)
    log_mel = LogMel(hop=hop)
    generator = torch.Generator().manual_seed(0)
    loudness = torch.linspace(0.01, 1, count)
    audio = (torch.randn(count, generator=generator) * loudness).clamp(-1, 1)
    features, length = log_mel(audio[None], torch.tensor([count]))
    statistics, samples = FeatureStatistics.of(audio.split(5000), log_mel, torch.device("cpu"))
    assert samples == count
    torch.testing.assert_close(
        statistics.normalize(features, length),
        normalize_features(features, length),
        atol=2e-3 if count < 200 else 1e-4,  # of one or two frames the variance is nearly nothing
        rtol=1e-4,
    )
    torch.testing.assert_close(statistics.mean, features[0].mean(dim=0), atol=1e-4, rtol=1e-5)
