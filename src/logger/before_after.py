"""What an augmentation did, in pictures: waveform and log-mel features, before and after."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from src.logger.plots import HOP_SECONDS

BLUE = "#3b82c4"
GREY = "#7d7d7d"  # readable on white and on black
COLUMNS = 600  # of a drawn waveform


class Sound(NamedTuple):
    audio: np.ndarray  # [S]
    features: np.ndarray  # [F, M], 10 ms a frame
    sample_rate: int


class Change(NamedTuple):
    """One augmentation's effect; `unit` is that of the features."""

    title: str
    before: Sound
    after: Sound
    unit: str


class Scale(NamedTuple):
    """What both sides of a change share, so that they can be compared."""

    seconds: float
    amplitude: float
    low: float
    high: float

    @classmethod
    def of(cls, change: Change) -> Scale:
        sounds = (change.before, change.after)
        # a few extremes would wash out the rest, and noise must not hide in the darkest colour
        low, high = np.quantile(change.before.features, [0.02, 0.998])
        return cls(
            max(len(sound.audio) / sound.sample_rate for sound in sounds),
            max(1e-3, *(float(np.abs(sound.audio).max(initial=0)) for sound in sounds)),
            float(low),
            float(max(high, low + 1e-3)),
        )


def overview(changes: Sequence[Change]) -> bytes:
    """A PNG with a row for each change: waveform and features before, then after."""
    width, head, tall, foot = 17.0, 0.75, 1.5, 0.55  # inches, of each row the last three
    height = len(changes) * (head + tall + foot)
    figure = Figure(figsize=(width, height), dpi=100)
    canvas = FigureCanvasAgg(figure)
    left, panel, gap = np.array([0.8, 3.25, 0.75]) / width
    for row, change in enumerate(changes):
        scale = Scale.of(change)
        top = 1 - row * (head + tall + foot) / height
        bottom = top - (head + tall) / height
        figure.text(left, top - 0.4 / height, change.title, fontsize=13)
        for column, sound in enumerate([change.before, change.after]):
            x = left + 2 * column * (panel + gap)
            axes = figure.add_axes((x, bottom, panel, tall / height))
            _draw_waveform(axes, sound, scale)
            axes.set_title(("before", "after")[column], loc="left", fontsize=10, color=GREY)
            axes = figure.add_axes((x + panel + gap, bottom, panel, tall / height))
            picture = _draw_features(axes, sound, scale)
        bar = figure.add_axes((x + 2 * panel + 1.15 * gap, bottom, 0.1 / width, tall / height))
        figure.colorbar(picture, cax=bar, label=change.unit).outline.set_visible(False)  # type: ignore[operator]
    content = io.BytesIO()
    canvas.print_png(content)  # print_figure would go through everything twice
    return content.getvalue()


def side_picture(sound: Sound, scale: Scale) -> bytes:
    """One side of a change for a page, light or dark: a transparent WebP, 360 x 250 CSS pixels."""
    figure = Figure(figsize=(3.6, 2.5), dpi=200)
    canvas = FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    _draw_waveform(figure.add_axes((0.135, 0.74, 0.855, 0.23)), sound, scale, small=True)
    _draw_features(figure.add_axes((0.135, 0.155, 0.855, 0.49)), sound, scale, small=True)
    content = io.BytesIO()
    canvas.print_webp(content, pil_kwargs={"quality": 80, "method": 2})
    return content.getvalue()


def _draw_waveform(axes: Axes, sound: Sound, scale: Scale, small: bool = False) -> None:
    seconds = len(sound.audio) / sound.sample_rate
    if small:  # above the features, which have the same time
        axes.set_xticks([])
    else:
        axes.set_xlabel("time, s")
    parts = np.array_split(sound.audio, min(COLUMNS, max(1, len(sound.audio))))
    low, high = [part.min() for part in parts], [part.max() for part in parts]
    axes.fill_between(np.linspace(0, seconds, len(parts)), low, high, color=BLUE, linewidth=0.5)
    axes.set_ylim(-1.05 * scale.amplitude, 1.05 * scale.amplitude)
    axes.set_ylabel("level")
    _style(axes, scale, small)


def _draw_features(axes: Axes, sound: Sound, scale: Scale, small: bool = False) -> AxesImage:
    frames, bands = sound.features.shape
    picture = axes.imshow(
        sound.features.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=scale.low,
        vmax=scale.high,
        extent=(0, frames * HOP_SECONDS, 0, bands),
    )
    axes.set_xlabel("time, s")
    axes.set_ylabel("mel band")
    _style(axes, scale, small)
    return picture


def _style(axes: Axes, scale: Scale, small: bool) -> None:
    axes.set_xlim(0, scale.seconds)
    axes.spines[:].set_visible(False)
    if small:
        axes.patch.set_alpha(0)
        axes.tick_params(colors=GREY, labelsize=8, length=2, pad=2)
        axes.xaxis.label.set(color=GREY, size=8)
        axes.yaxis.label.set(color=GREY, size=8)
        axes.xaxis.labelpad = axes.yaxis.labelpad = 1
