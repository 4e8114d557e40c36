import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from src.transforms import BackgroundNoise, ColouredNoise, Draws
from src.utils.errors import UserError
from tests.transforms.signals import decibels, power, speech_like

CONFIGS = Path(__file__).parents[3] / "configs"

LENGTH = torch.tensor([48000, 30000, 20000])


def utterances():
    audio = torch.stack([speech_like(48000, seed) for seed in range(3)])
    return audio * (torch.arange(48000) < LENGTH[:, None])


@pytest.fixture
def noises(tmp_path):
    rng = np.random.default_rng(0)
    time = np.arange(3000) / 16000
    soundfile.write(tmp_path / "hiss.wav", 0.1 * rng.normal(size=11000), 16000)
    soundfile.write(tmp_path / "hum.flac", 0.3 * np.sin(2 * np.pi * 100 * time), 16000)
    return str(tmp_path)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 25.0])
def test_the_ratio_is_reached_over_the_utterance_itself(snr, noises):
    audio = utterances()
    for augment in (ColouredNoise((snr, snr)), BackgroundNoise(noises, (snr, snr))):
        for epoch in range(3):
            noise = augment(audio, LENGTH, Draws.of(0, epoch, "abc")) - audio
            for row, added, end in zip(audio, noise, LENGTH.tolist()):
                assert abs(decibels(power(row[:end]) / power(added[:end])) - snr) < 0.5


def test_ratios_are_drawn_evenly_between_the_ends():
    audio = speech_like(4000, 0).repeat(500, 1)
    length = torch.full((500,), 4000)
    noise = ColouredNoise((5, 15))(audio, length, Draws.of(0, 0, range(500))) - audio
    reached = np.array([decibels(power(audio[0]) / power(added)) for added in noise])
    assert 4.5 < reached.min() < 5.5
    assert 14.5 < reached.max() < 15.5
    assert abs(reached.mean() - 10) < 0.5


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_colour_of_noise(exponent):
    """Power falls by 3 dB an octave and exponent: fitted over five octaves."""
    audio = speech_like(160000, 0)[None]
    augment = ColouredNoise((0, 0), (exponent, exponent))
    noise = (augment(audio, torch.tensor([160000]), Draws.of(0, 0, "a")) - audio)[0].double()
    spectrum = torch.fft.rfft(noise).abs().square()
    hertz = torch.fft.rfftfreq(160000, 1 / 16000).double()
    octaves = [math.log2(125 * 2**k) for k in range(6)]
    levels = [
        decibels(spectrum[(hertz > 2**octave) & (hertz < 2 ** (octave + 1))].mean())
        for octave in octaves
    ]
    slope = np.polyfit(octaves, levels, 1)[0]
    assert abs(slope + 10 * math.log10(2) * exponent) < 0.25


def test_recordings_are_mixed_in_from_anywhere_and_repeated(noises):
    """What is added is, sample for sample, one of the two files, rotated and scaled."""
    files = {name: soundfile.read(f"{noises}/{name}")[0] for name in ("hiss.wav", "hum.flac")}
    audio = speech_like(32000, 0).repeat(12, 1)
    augment = BackgroundNoise(noises, (0, 0))
    noise = augment(audio, torch.full((12,), 32000), Draws.of(0, 0, range(12))) - audio
    found, starts = set(), set()
    for added in noise.double().numpy():
        for name, clip in files.items():
            repeated = np.tile(clip, 32000 // len(clip) + 2)
            circular = np.fft.irfft(
                np.fft.rfft(added[: len(clip)]).conj() * np.fft.rfft(clip), n=len(clip)
            )
            start = int(circular.argmax())
            expected = repeated[start : start + 32000]
            expected = expected * np.sqrt((added**2).sum() / (expected**2).sum())
            if np.abs(added - expected).max() < 1e-3:
                found.add(name)
                starts.add(start)
    assert found == files.keys()
    assert len(starts) > 4


def test_silence_gets_no_noise_and_silent_noise_adds_nothing(tmp_path):
    soundfile.write(tmp_path / "nothing.wav", np.zeros(400), 16000)
    audio, length = utterances(), LENGTH
    draws = Draws.of(0, 0, "abc")
    assert torch.equal(BackgroundNoise(str(tmp_path))(audio, length, draws), audio)
    assert not ColouredNoise()(torch.zeros(3, 400), torch.tensor([400] * 3), draws).any()


def test_a_pattern_holds_recordings_out(tmp_path):
    names = ("rain/1-100-A.wav", "rain/1-107-A.wav", "rain/1-107-B.flac", "sea/1-99.wav")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.ones(100), 16000)

    def chosen(pattern):
        paths = BackgroundNoise(str(tmp_path), pattern=pattern).clips.paths
        return [path.relative_to(tmp_path).as_posix() for path in paths]

    assert chosen("*") == list(names)
    assert chosen("*[7-9]-?.*") == list(names[1:3])  # both takes of source 107
    assert chosen("*[!7-9]-?.*") == [names[0]]
    assert chosen("1-9*") == [names[3]]  # a name in any folder
    assert chosen("rain/*") == list(names[:3])
    with pytest.raises(UserError, match=r"none of the 4 .* matches '2-\*', such as rain/1-100-A"):
        chosen("2-*")


def test_training_takes_the_pattern_from_the_config(noises):
    overrides = ["augmentation=[background_noise]", f"noise_dir={noises}", "noise_clips='h[!i]*'"]
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose("baseline", ["run_name=x", *overrides])
    noise = instantiate(config.transforms).wave_augmentations["background_noise"]
    assert [path.name for path in noise.clips.paths] == ["hum.flac"]
