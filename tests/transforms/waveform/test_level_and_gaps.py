"""Gain, clipping and drop-outs."""

import torch

from src.transforms import Clipping, Draws, Dropouts, Gain
from tests.transforms.signals import decibels, power, speech_like, tone


def test_gain_in_decibels():
    audio = speech_like(8000, 0).repeat(400, 1)
    after = Gain((-12, 6))(audio, torch.full((400,), 8000), Draws.of(0, 0, range(400)))
    gains = torch.tensor([decibels(power(row) / power(audio[0])) for row in after])
    assert -12.01 < gains.min() < -11.5
    assert 5.5 < gains.max() < 6.01
    assert abs(gains.mean() + 3) < 0.8
    torch.testing.assert_close(after / after.norm(dim=1, keepdim=True), audio / audio[0].norm())


def test_gain_never_makes_nan():
    for audio in (torch.zeros(1, 10), torch.full((1, 10), 1e-38), torch.ones(1, 10)):
        after = Gain((60, 60))(audio, torch.tensor([10]), Draws.of(0, 0, "a"))
        assert after.isfinite().all()


def test_clipping_cuts_at_so_many_decibels_below_the_peak():
    audio = tone(100)[None]
    after = Clipping((6, 6))(audio, torch.tensor([16000]), Draws.of(0, 0, "a"))
    limit = 0.5 * 10 ** (-6 / 20)
    assert abs(after.max() - limit) < 1e-3
    assert abs(after.min() + limit) < 1e-3
    below = audio.abs() < limit - 1e-3
    assert torch.equal(after[below], audio[below])
    assert abs((after.abs() > limit - 1e-6).float().mean() - 0.666) < 0.01  # 2/pi acos(0.5)


def test_dropouts_are_spans_of_silence_within_the_utterance():
    audio, length = torch.ones(500, 8000), torch.full((500,), 6000)
    audio[:, 6000:] = 0
    after = Dropouts(number=1, max_seconds=0.05)(audio, length, Draws.of(0, 0, range(500)))
    gaps = []
    for row in after[:, :6000]:
        silent = (row == 0).nonzero().flatten()
        gaps.append(len(silent))
        if len(silent):
            assert silent[-1] - silent[0] + 1 == len(silent), "one span"
    assert max(gaps) <= 800
    assert abs(sum(gaps) / 500 - 400) < 40  # widths are even between 0 and 50 ms
    most = (Dropouts(number=5)(audio, length, Draws.of(0, 0, range(500)))[:, :6000] == 0).sum(dim=1)
    assert most.max() <= 5 * 800
