import torch

from src.transforms import Draws, TimeWarp

LENGTH = torch.tensor([200, 150, 60, 5, 2, 1])


def ramp():
    """Features that say which frame they are [6, 200, 80]."""
    frames = torch.arange(200.0)[None, :, None].expand(6, 200, 80)
    return frames * (torch.arange(200) < LENGTH[:, None])[..., None]


def test_time_is_stretched_before_a_point_and_squeezed_behind_or_the_other_way_round():
    shifts = []
    for epoch in range(50):
        warped = TimeWarp(10)(ramp(), LENGTH, Draws.of(0, epoch, range(6)))
        for row, frames in zip(warped[:3, :, 0], (200, 150, 60)):
            read = row[:frames]
            assert read[0] == 0
            assert abs(read[-1] - (frames - 1)) < 1e-3, "both ends stay"
            assert (read.diff() > 0).all(), "time never runs backwards"
            bend = read.diff().diff().abs() > 1e-3
            assert bend.sum() <= 2, "two straight pieces"
            shifts.append((read - torch.arange(float(frames))).abs().max().item())
    assert max(shifts) <= 10.01
    assert max(shifts) > 8
    assert 3.5 < sum(shifts) / len(shifts) < 6.5  # |shift| is even between 0 and 10


def test_values_between_frames_are_interpolated():
    features = torch.randn(1, 100, 80, generator=torch.Generator().manual_seed(0))
    warped = TimeWarp(10)(features, torch.tensor([100]), Draws.of(0, 1, "a"))
    read = TimeWarp(10)(ramp()[:1, :100], torch.tensor([100]), Draws.of(0, 1, "a"))[0, :, 0]
    left = read.floor().long()
    weight = (read - left)[:, None]
    expected = torch.lerp(features[0, left], features[0, (left + 1).clamp_max(99)], weight)
    torch.testing.assert_close(warped[0], expected, atol=1e-4, rtol=1e-4)


def test_the_shortest_utterances_stay_as_they_are():
    warped = TimeWarp(10)(ramp(), LENGTH, Draws.of(0, 0, range(6)))
    torch.testing.assert_close(warped[4:], ramp()[4:])
