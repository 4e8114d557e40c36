import math

import numpy as np
import pytest
import torch

from src.transforms import LogMel, Transforms, normalize_features
from src.transforms.convolutional_log_mel import ConvolutionalLogMel
from src.utils.audio import read_audio


def tone(frequency, seconds, rate=16000):
    return torch.sin(2 * math.pi * frequency * torch.arange(int(seconds * rate)) / rate)


def htk_mel_features(audio, n_mels=80, n_fft=512, window=400, hop=160, rate=16000):
    """Independent log-mel in numpy, from the definitions."""
    padded = np.pad(audio, n_fft // 2)
    hann = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window), (n_fft - window) // 2)
    frames = [padded[s : s + n_fft] * hann for s in range(0, len(padded) - n_fft + 1, hop)]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    edges = 700 * (10 ** (np.linspace(0, mel(rate / 2), n_mels + 2) / 2595) - 1)
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    rise = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    return np.log(power @ np.clip(np.minimum(rise, fall), 0, None) + 2.0**-19)


def test_log_mel_agrees_with_numpy():
    audio = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    features, length = LogMel()(audio, torch.tensor([16000]))
    expected = htk_mel_features(audio[0].double().numpy())
    assert length.item() == features.shape[1] == len(expected) == 101
    np.testing.assert_allclose(features[0].numpy(), expected, atol=2e-3)


def test_a_tone_lands_in_its_band():
    log_mel = LogMel()
    for frequency in (300, 1000, 3000):
        features, _ = log_mel(tone(frequency, 0.5)[None], torch.tensor([8000]))
        band = features[0, 25].argmax().item()
        centre = 700 * (10 ** ((band + 1) / 81 * math.log10(1 + 8000 / 700)) - 1)
        assert abs(centre - frequency) < 0.06 * frequency + 20


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 4000, 16001])
def test_features_do_not_depend_on_the_padding(samples):
    transforms = Transforms(LogMel()).eval()
    audio = torch.randn(samples, generator=torch.Generator().manual_seed(1))
    padded = torch.zeros(2, samples + 5000)
    padded[0, :samples], padded[1] = audio, torch.randn(samples + 5000)
    alone = transforms(audio=audio[None], audio_length=torch.tensor([samples]))
    batched = transforms(audio=padded, audio_length=torch.tensor([samples, samples + 5000]))
    frames = alone["feature_length"].item()
    assert batched["feature_length"][0] == frames == alone["features"].shape[1]
    torch.testing.assert_close(
        batched["features"][0, :frames], alone["features"][0], atol=5e-4, rtol=0
    )
    assert (batched["features"][0, frames:] == 0).all()


def test_normalized_to_mean_0_and_variance_1_over_the_valid_frames():
    features = 3 + 5 * torch.randn(3, 50, 80)
    length = torch.tensor([50, 30, 20])
    normalized = normalize_features(features, length)
    for b, frames in enumerate(length.tolist()):
        valid = normalized[b, :frames].double().numpy()
        np.testing.assert_allclose(valid.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(valid.std(axis=0), 1, atol=1e-2)


@pytest.mark.parametrize("audio", [torch.zeros(1, 1600), torch.ones(1, 1), torch.zeros(1, 1)])
def test_silence_and_single_samples_stay_finite(audio):
    out = Transforms(LogMel())(audio=audio, audio_length=torch.tensor([audio.shape[1]]))
    assert out["features"].isfinite().all()


@pytest.mark.parametrize("samples", [160, 5600, 48000])
def test_digital_silence_is_nothing(samples):
    transforms = Transforms(LogMel()).eval()
    audio = torch.zeros(2, 50000)
    audio[1] = torch.randn(50000)
    features = transforms(audio=audio, audio_length=torch.tensor([samples, 50000]))["features"]
    assert (features[0] == 0).all()


@pytest.mark.parametrize("options", [{}, {"window": 0.0201, "hop": 0.0125}, {"sample_rate": 8000}])
def test_convolutions_are_a_log_mel_too(options):
    """As near to float64 as rounding allows, in bands with sound and in those with next to none."""
    log_mel = LogMel(**options)
    exact = LogMel(**options).double()
    low = tone(440, 1.0) / 3
    for audio in (torch.randn(16001) / 10, low, torch.zeros(1), torch.full((159,), 0.5)):
        length = torch.tensor([len(audio), len(audio) // 2])
        batch = audio.repeat(2, 1)
        frames = log_mel.feature_length(length)
        power = exact.mel(batch.double())
        expected = (power + 2.0**-19).log().transpose(1, 2).float()
        found, same = ConvolutionalLogMel(log_mel)(batch, length)
        assert torch.equal(frames, same)
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_convolutions_hear_real_speech_as_the_transform_does(shared_data):
    """Lossy recordings have bands without sound, which normalisation must not make loud."""
    log_mel = LogMel()
    convolutional = ConvolutionalLogMel(log_mel)
    for file in sorted((shared_data / "LibriSpeech" / "dev-clean-part").rglob("*.mp3"))[::150]:
        audio = read_audio(file, 16000)[None]
        length = torch.tensor([audio.shape[1]])
        heard, found = (
            normalize_features(*features(audio, length)) for features in (log_mel, convolutional)
        )
        torch.testing.assert_close(found, heard, atol=2e-3, rtol=0)
