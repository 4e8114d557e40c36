"""A prefix beam search drawn frame by frame, for `beam_search_proof.ipynb`.

draw_search(axes, frames, titles=["start", "frame 1", "frame 2"], marks={"a": "green"})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

WIDTH, HEIGHT, MARGIN = 0.5, 0.62, 0.05  # of a prefix's box; frames and prefixes are 1 apart
INK, STAY, EXTEND, FAINT = "#333333", "#5b7fa6", "#d9822b", "#b5b5b5"
IN_BLANK, FAINT_BLANK = "#c9d6e4", "#e8e8e8"
THINNEST = 0.004  # less probable arrows are left out


class SearchFrame(NamedTuple):
    """What one frame made of the beam.

    Attributes:
        candidates: prefix -> (probability that it ends in a blank, that it ends in its letter).
        arrows: (prefix before, prefix after) -> the probability that goes this way.
        kept: the prefixes that are in the beam now.
    """

    candidates: Mapping[str, Sequence[float]]
    arrows: Mapping[tuple[str, str], float]
    kept: set[str]


def draw_search(
    axes: Axes, frames: Sequence[SearchFrame], titles: Sequence[str], marks: Mapping[str, str]
) -> None:
    """A column a frame, a row a prefix.

    An arrow is as wide as the probability that it carries; where several meet, the box has their
    sum. The dark part of the bar in a box ends in the prefix's last letter, the light part in a
    blank. What the beam has no place for is grey.

    Args:
        titles: of the start and of each frame.
        marks: prefix -> colour of its box in the last column.
    """
    columns = [SearchFrame({"": (1.0, 0.0)}, {}, {""}), *frames]
    prefixes = {prefix for column in columns for prefix, p in column.candidates.items() if sum(p)}
    row = {p: -y for y, p in enumerate(sorted(prefixes, key=lambda p: (len(p), p)))}
    for t, column in enumerate(columns):
        axes.text(t, 0.5, titles[t], ha="center", va="bottom", fontsize=10)
        for (before, after), p in column.arrows.items():
            if p > THINNEST:
                color = STAY if before == after else EXTEND
                color = color if after in column.kept else FAINT
                _draw_arrow(axes, t, row[before], row[after], p, color)
        for prefix, (p_blank, p_letter) in column.candidates.items():
            if p_blank + p_letter > 0:
                kept = prefix in column.kept
                mark = marks.get(prefix) if t == len(frames) else None
                _draw_box(axes, t, row[prefix], prefix, p_blank, p_letter, kept, mark)
    axes.set_axis_off()
    axes.set_xlim(-WIDTH / 2 - MARGIN, len(frames) + WIDTH / 2 + MARGIN)
    axes.set_ylim(min(row.values()) - 0.4, 1.1)


def _draw_box(
    axes: Axes,
    x: float,
    y: float,
    prefix: str,
    p_blank: float,
    p_letter: float,
    kept: bool,
    mark: str | None,
) -> None:
    left, right = x - WIDTH / 2, x + WIDTH / 2
    ink, in_blank = (INK, IN_BLANK) if kept else (FAINT, FAINT_BLANK)
    box = FancyBboxPatch(
        (left, y - HEIGHT / 2),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor="white",
        edgecolor=mark or ink,
        linewidth=3.0 if mark else 1.2,
        zorder=2,
    )
    axes.add_patch(box)
    style: dict[str, Any] = {"color": ink, "va": "center", "fontsize": 11, "zorder": 3}
    axes.text(left + MARGIN, y + 0.1, prefix or "ε", ha="left", weight="bold", **style)
    axes.text(right - MARGIN, y + 0.1, f"{p_blank + p_letter:.3f}", ha="right", **style)
    start = left + MARGIN
    for p, color in ((p_letter, ink), (p_blank, in_blank)):
        length = (WIDTH - 2 * MARGIN) * p
        axes.add_patch(Rectangle((start, y - 0.22), length, 0.12, color=color, lw=0, zorder=3))
        start += length


def _draw_arrow(axes: Axes, t: int, before: float, after: float, p: float, color: str) -> None:
    """From column t - 1 to column t, between two rows."""
    start, end = t - 1 + WIDTH / 2, t - WIDTH / 2
    arrow = FancyArrowPatch(
        (start, before),
        (end, after),
        arrowstyle="-|>",
        mutation_scale=9 + 12 * p,
        linewidth=0.8 + 8 * p,
        color=color,
        shrinkA=1,
        shrinkB=1,
        zorder=1,
    )
    axes.add_patch(arrow)
    along = 0.25 if before == after else 0.42  # figures of arrows that cross lie apart
    axes.text(
        start + along * (end - start),
        before + along * (after - before),
        f"{p:.2f}",
        color=color,
        ha="center",
        va="center",
        fontsize=8.5,
        zorder=3,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )
