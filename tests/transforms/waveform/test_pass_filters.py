import math

import pytest
import torch

from src.transforms import Draws, HighPass, LowPass, Telephone
from tests.transforms.signals import decibels, level_at, power, tone


def gain_at(augment, hertz):
    """dB that a tone of this frequency gains, away from its ends."""
    audio = tone(hertz)[None]
    after = augment(audio, torch.tensor([16000]), Draws.of(0, 0, "a"))
    inside = slice(4000, 12000)
    return 20 * math.log10(level_at(after[0, inside], hertz) / level_at(audio[0, inside], hertz))


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(("kind", "sign"), [(LowPass, 1), (HighPass, -1)])
def test_attenuation_is_butterworths(kind, sign, order):
    """3 dB at the cut-off, then 6 dB an octave and order; nothing two octaves before."""
    augment = kind((1000, 1000), order)
    for octaves in (-2, -1, 0, 1, 2):
        expected = -10 * math.log10(1 + 2 ** (2 * order * octaves))
        assert abs(gain_at(augment, 1000 * 2 ** (sign * octaves)) - expected) < 0.3
    assert abs(gain_at(augment, 1000) + 3.01) < 0.1


def test_cut_offs_are_drawn_for_each_utterance_evenly_in_octaves():
    audio = tone(4000, 4000).repeat(300, 1)
    augment = LowPass((1000, 4000), order=1)
    after = augment(audio, torch.full((300,), 4000), Draws.of(0, 0, range(300)))
    gains = [decibels(power(row[1000:3000]) / power(audio[0, 1000:3000])) for row in after]
    cutoffs = sorted(4000 / math.sqrt(10 ** (-gain / 10) - 1) for gain in gains)
    assert 950 < cutoffs[0] < 1100
    assert 3700 < cutoffs[-1] < 4200
    assert abs(cutoffs[150] - 2000) < 250


def test_a_filter_moves_nothing_in_time():
    click = torch.zeros(1, 4000)
    click[0, 2000] = 1.0
    for augment in (LowPass(), HighPass()):
        after = augment(click, torch.tensor([4000]), Draws.of(0, 0, "a"))[0]
        assert after.abs().argmax() == 2000
        torch.testing.assert_close(after[1900:2000], after[2001:2101].flip(0), atol=1e-5, rtol=0)


def test_a_telephone_passes_its_band_alone():
    for hertz, lowest, highest in ((1000, -0.5, 0.5), (3000, -2, 0.5), (5000, -60, -20)):
        assert lowest < gain_at(Telephone(), hertz) < highest
    assert gain_at(Telephone(), 120) < -20


def test_mu_law_leaves_the_noise_of_eight_bits():
    """G.711 codes loud and soft alike: 33 to 40 dB of signal to noise over 30 dB of level."""
    for level in (0, -15, -30):
        audio = tone(1004)[None] * 2 * 10 ** (level / 20) * 0.9
        after = Telephone()(audio, torch.tensor([16000]), Draws.of(0, 0, "a"))
        inside = slice(4000, 12000)
        scale = level_at(after[0, inside], 1004) / level_at(audio[0, inside], 1004)
        noise = after[0, inside] - scale * audio[0, inside]
        assert 30 < decibels(power(scale * audio[0, inside]) / power(noise)) < 44
