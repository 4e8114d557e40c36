"""The spectrogram picture: right way up, right colours, readable size."""

from __future__ import annotations

import numpy as np
import torch

from src.logger.plots import spectrogram_image


def bright_rows_and_columns(image: np.ndarray) -> tuple[float, float]:
    """Centre of the picture's bright pixels, as fractions from the top and from the left."""
    # Left of the colour bar; magma's top end is bright yellow, axes and text are white or black.
    area = image[:, : int(image.shape[1] * 0.9)].astype(int)
    bright = (area[..., 0] > 240) & (area[..., 1] > 200) & (area[..., 2] < 200)
    rows, columns = np.nonzero(bright)
    return rows.mean() / image.shape[0], columns.mean() / image.shape[1]


def energy_in(frames: slice, bands: slice) -> torch.Tensor:
    features = torch.zeros(400, 80)
    features[frames, bands] = 5.0
    return features


def test_high_bands_are_up_and_late_frames_are_right() -> None:
    low_early = bright_rows_and_columns(spectrogram_image(energy_in(slice(0, 80), slice(0, 20))))
    high_late = bright_rows_and_columns(
        spectrogram_image(energy_in(slice(320, 400), slice(60, 80)))
    )
    assert low_early[0] > 0.6 and low_early[1] < 0.3
    assert high_late[0] < 0.4 and high_late[1] > 0.6


def test_is_an_rgb_picture_of_fixed_size_also_for_odd_input() -> None:
    generator = torch.Generator().manual_seed(0)
    usual = spectrogram_image(torch.randn(1300, 80, generator=generator), "a title")
    for features in (torch.zeros(1, 80), torch.randn(3000, 40).bfloat16().requires_grad_()):
        image = spectrogram_image(features, "a word " * 100 + "$x_1$ \\frac{")
        assert image.shape == usual.shape == (320, 1000, 3)
        assert image.dtype == np.uint8
    assert usual.std() > 20
