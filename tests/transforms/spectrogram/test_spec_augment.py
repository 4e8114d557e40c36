import torch

from src.transforms import Draws, SpecAugment

LENGTH = torch.tensor([400, 150, 10, 1])


def masked(epoch=0, **options):
    return SpecAugment(**options)(torch.ones(4, 400, 80), LENGTH, Draws.of(0, epoch, "abcd")) == 0


def inside(mask):
    """Without the padding, which is 0 as well."""
    return [row[:frames] for row, frames in zip(mask, LENGTH.tolist())]


def test_masks_are_whole_bands_or_whole_frames():
    for row in inside(masked()):
        bands, frames = row.all(dim=0), row.all(dim=1, keepdim=True)
        assert (row == (bands | frames)).all()
    assert inside(masked())[0].any()


def test_time_masks_stay_inside_the_utterance():
    """Of an utterance of one frame none is left to mask: 5% of it is no frame."""
    for epoch in range(20):
        rows = inside(masked(epoch, freq_masks=0))
        assert not rows[2].any()
        assert not rows[3].any()


def test_mask_statistics():
    """The mean width of a mask drawn from 0..W is W/2."""
    options = {"freq_masks": 1, "freq_width": 20, "max_time_masks": 1, "time_width_ratio": 0.0}
    shares = torch.stack([masked(epoch, **options)[0, 0].float().mean() for epoch in range(300)])
    assert abs(shares.mean().item() - 10 / 80) < 0.012
    assert shares.max() * 80 <= 20

    options = {"freq_masks": 0, "max_time_masks": 1, "time_width_ratio": 0.05}
    widths = torch.stack([masked(epoch, **options)[0, :, 0].sum() for epoch in range(300)])
    assert widths.max() == 20
    assert abs(widths.float().mean().item() - 10) < 1.1
    starts = [int(masked(epoch, **options)[0, :, 0].float().argmax()) for epoch in range(300)]
    assert max(starts) > 360
    assert min(starts) < 20


def test_masks_are_as_many_as_the_utterance_is_long():
    """4 for each 100 frames, at most 10; single frames here, so that they can be counted."""
    options = {"freq_masks": 0, "time_masks_ratio": 0.04, "max_time_masks": 10}
    counts = torch.zeros(2)
    for epoch in range(100):
        mask = masked(epoch, time_width_ratio=0.0067, **options)[..., 0]
        counts += torch.stack([mask[0].sum(), mask[1, :150].sum()])
    # widths are 0..2 of 400 frames (10 masks, mean 1) and 0..1 of 150 (6 masks, mean 0.5)
    assert abs(counts[0] / 100 - 10) < 1.2
    assert abs(counts[1] / 100 - 3) < 0.6


def test_draws_differ_between_utterances():
    draws = Draws.of(3, 0, range(8))
    out = SpecAugment()(torch.ones(8, 300, 80), torch.full((8,), 300), draws)
    assert len({tuple((row == 0).flatten().tolist()) for row in out}) == 8
