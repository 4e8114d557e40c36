import numpy as np
import pytest
import soundfile
import torch

from src.transforms import Draws, Reverberation
from tests.transforms.signals import decibels, power, speech_like


def write_room(folder, seconds_to_60_decibels, delay=300):
    """Direct sound after a delay, then noise whose power falls by 60 dB in the time given."""
    time = np.arange(12000) / 16000
    tail = np.random.default_rng(0).normal(size=12000) * 10 ** (-3 * time / seconds_to_60_decibels)
    response = np.concatenate([np.zeros(delay), 0.1 * tail])
    response[delay] = 0.9
    soundfile.write(folder / "room.wav", response, 16000, subtype="FLOAT")
    return Reverberation(str(folder)), response[delay:]


def test_it_is_the_convolution_with_what_follows_the_direct_sound(tmp_path):
    augment, response = write_room(tmp_path, 0.3)
    audio = speech_like(16000, 0)
    after = augment(audio[None], torch.tensor([16000]), Draws.of(0, 0, "a"))[0]
    expected = np.convolve(audio.numpy(), response)[:16000]
    expected *= np.sqrt((audio.numpy() ** 2).sum() / (expected**2).sum())
    np.testing.assert_allclose(after.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.2, 0.4])
def test_the_rooms_decay_is_heard_after_a_click(tmp_path, seconds):
    """The energy that is still to come (Schroeder, 1965) falls by 60 dB in the room's time."""
    augment, _ = write_room(tmp_path, seconds)
    click = torch.zeros(1, 16000)
    click[0, 1000] = 1.0
    after = augment(click, torch.tensor([16000]), Draws.of(0, 0, "a"))[0].double()
    assert not after[:1000].abs().gt(1e-5).any(), "nothing is heard before the click"
    assert after.abs().argmax() == 1000, "words keep their times"
    to_come = after[1001:].square().flip(0).cumsum(0).flip(0)
    level = 10 * torch.log10(to_come / to_come[0])
    inside = slice(200, int(16000 * seconds / 2))
    slope = np.polyfit(np.arange(15000)[inside] / 16000, level.numpy()[inside], 1)[0]
    assert abs(-60 / slope - seconds) < 0.1 * seconds


def test_the_level_stays_and_nothing_rings_on_beyond_the_end(tmp_path):
    augment, _ = write_room(tmp_path, 0.5)
    audio = torch.stack([speech_like(16000, seed) for seed in range(2)])
    audio[1, 9000:] = 0
    after = augment(audio, torch.tensor([16000, 9000]), Draws.of(0, 0, "ab"))
    for row, wet in zip(audio, after):
        assert abs(decibels(power(wet) / power(row))) < 0.01
    assert not after[1, 9000:].any()


def test_real_rooms_blur_a_click(shared_data):
    augment = Reverberation(str(shared_data / "rir"))
    click = torch.zeros(8, 16000)
    click[:, 1000] = 1.0
    after = augment(click, torch.full((8,), 16000), Draws.of(0, 0, range(8)))
    assert (after.abs().argmax(dim=1) == 1000).all()
    late = after[:, 1800:].square().sum(dim=1)  # 50 ms and more behind the direct sound
    assert (late > 1e-3).all()
    assert len({tuple(row[:2000].tolist()) for row in after}) > 3, "of several rooms"
