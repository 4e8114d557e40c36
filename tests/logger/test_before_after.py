from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from src.logger.before_after import Change, Scale, Sound, overview, side_picture
from src.logger.listening_page import Entry, listening_page


def sound(seconds=1.0, loud=0.5, bright=None):
    """A tone, and features that are dark but for `bright`, a slice of frames."""
    time = np.arange(round(16000 * seconds)) / 16000
    features = np.zeros((round(100 * seconds) + 1, 80))
    features[bright or slice(0, 10)] = 1
    return Sound(loud * np.sin(2 * np.pi * 50 * time), features, 16000)


def picture(side, change):
    """RGB and alpha of a side, in its upper (waveform) and lower part (features)."""
    pixels = imread(io.BytesIO(side_picture(side, Scale.of(change))), format="webp") / 255
    return np.split(pixels, [int(0.3 * len(pixels))])


def widths(mask):
    """Share of the picture's width at which each column with a hit lies, first and last."""
    columns = np.flatnonzero(mask.any(axis=0)) / mask.shape[1]
    return columns.min(), columns.max()


def test_both_sides_have_one_scale_of_time_level_and_colour():
    change = Change("half", sound(2.0), sound(1.0, loud=0.25), "log energy")
    blue = []
    for side in (change.before, change.after):
        waveform, features = picture(side, change)
        assert (waveform[..., 3] == 0).mean() > 0.3  # transparent, for pages of any colour
        blue.append((waveform[..., 2] - waveform[..., 0] > 0.3) & (waveform[..., 3] > 0.5))
        dark = (features[..., :3].max(axis=2) < 0.1) & (features[..., 3] > 0.9)
        left, right = widths(dark[:-80])
        assert right - left == pytest.approx(0.855 * len(side.audio) / 32000, abs=0.1)
    (left, right), (_, half) = map(widths, blue)
    assert half - left == pytest.approx((right - left) / 2, abs=0.01)
    tall, low = (mask.any(axis=1).sum() for mask in blue)
    assert low == pytest.approx(tall / 2, rel=0.15)


def test_frames_are_where_they_are_in_time():
    change = Change("bright", sound(), sound(bright=slice(75, 101)), "log energy")
    _, features = picture(change.after, change)
    bright = (features[..., :3].min(axis=2) > 0.6) & (features[..., 3] > 0.9)
    left, right = widths(bright)
    assert left == pytest.approx(0.135 + 0.855 * 0.75, abs=0.02)
    assert right == pytest.approx(0.99, abs=0.02)


@pytest.mark.parametrize("samples", [1, 400])
def test_silence_and_single_samples_are_drawn(samples):
    silent = Sound(np.zeros(samples), np.zeros((1 + samples // 160, 80)), 16000)
    change = Change("silence", silent, silent, "log energy")
    assert imread(io.BytesIO(overview([change]))).ndim == 3
    picture(silent, change)


def test_names_are_text_and_not_markup():
    entry = Entry("<b>", "a & b", '"', "x", b"", b"", None)
    page = listening_page("<script>", "<i>", b"", [entry])
    for markup in ("<b>", "<script>", "<i>", "a & b"):
        assert markup not in page
