import numpy as np
import pytest
import torch

from src.transforms import Draws, PitchShift
from src.transforms.waveform.pitch_shift import frequency_ratio
from tests.transforms.signals import decibels, power, speech_like, tone


def pitch(audio, rate=16000):
    """Of the strongest partial, by the peak of a windowed spectrum, interpolated."""
    x = audio.double().numpy() * np.hanning(len(audio))
    spectrum = np.log(np.abs(np.fft.rfft(x, n=8 * len(x))) + 1e-12)
    peak = int(spectrum.argmax())
    left, middle, right = spectrum[peak - 1 : peak + 2]
    offset = 0.5 * (left - right) / (left - 2 * middle + right)
    return (peak + offset) * rate / (8 * len(x))


@pytest.mark.parametrize("semitones", [-4, -2, -1, -0.5, 1, 2, 3, 7])
def test_a_tone_moves_by_the_semitones(semitones):
    for hertz in (220, 1000):
        audio = tone(hertz, 24000)[None]
        after = PitchShift([semitones])(audio, torch.tensor([24000]), Draws.of(0, 0, "a"))[0]
        moved = 12 * np.log2(pitch(after[4000:20000]) / pitch(audio[0, 4000:20000]))
        assert abs(moved - semitones) < 0.1
        assert abs(decibels(power(after[4000:20000]) / power(audio[0, 4000:20000]))) < 1.0


def test_ratios_are_small_and_right():
    for semitones in np.arange(-12, 12.5, 0.5):
        ratio = frequency_ratio(semitones)
        assert max(ratio.numerator, ratio.denominator) <= 80
        assert abs(12 * np.log2(float(ratio)) - semitones) < 0.05


def test_words_keep_their_times():
    """Bursts of tone begin and end where they did."""
    gate = (torch.arange(32000) // 4000 % 2).float()
    audio = (tone(400, 32000) * gate)[None]
    for semitones in (-2, 2):
        after = PitchShift([semitones])(audio, torch.tensor([32000]), Draws.of(0, 0, "a"))[0]
        loudness = after.square().unfold(0, 400, 400).mean(dim=1)
        wanted = gate.unfold(0, 400, 400).mean(dim=1) > 0.5
        assert ((loudness > 0.02) == wanted).float().mean() > 0.9


def test_each_utterance_has_its_own_shift():
    audio = tone(500).repeat(40, 1)
    after = PitchShift([-2, 0, 2])(audio, torch.full((40,), 16000), Draws.of(0, 0, range(40)))
    moved = [round(12 * np.log2(pitch(row[3000:13000]) / 500)) for row in after]
    assert set(moved) == {-2, 0, 2}
    assert torch.equal(after[moved.index(0)], audio[0])


def test_speech_keeps_its_level():
    audio = speech_like(32000, 0)[None]
    for semitones in (-2, 2):
        after = PitchShift([semitones])(audio, torch.tensor([32000]), Draws.of(0, 0, "a"))
        assert abs(decibels(power(after) / power(audio))) < 0.1
