"""Pictures for the writers."""

from __future__ import annotations

from textwrap import shorten

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

HOP_SECONDS = 0.01


def spectrogram_image(features: Tensor, title: str | None = None) -> np.ndarray:
    """Log-mel features as a labelled picture.

    Args:
        features: [F, M] frames by mel bands, one utterance without padding, 10 ms a frame.
        title: shown above, such as the transcript; shortened to fit.

    Returns:
        uint8 [H, W, 3] in RGB.
    """
    values = features.detach().float().cpu().numpy()
    frames, bands = values.shape
    # A Figure of its own, not pyplot: no global state, no display, nothing to close.
    figure = Figure(figsize=(10, 3.2), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    low, high = np.quantile(values, [0.02, 0.998])  # a few extremes would wash out the rest
    picture = axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=low,
        vmax=high,
        extent=(0, frames * HOP_SECONDS, 0, bands),
    )
    axes.set_xlabel("time, s")
    axes.set_ylabel("mel band")
    axes.spines[:].set_visible(False)
    figure.colorbar(picture, ax=axes, pad=0.01, label="log energy").outline.set_visible(False)  # type: ignore[operator]
    if title:
        axes.set_title(shorten(title, width=110, placeholder=" …"), loc="left", fontsize=10)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
