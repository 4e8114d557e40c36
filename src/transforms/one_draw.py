"""One draw of an augmentation, fixed, so that it can be named beside what it did.

fix_one_draw(Gain((-12, 6)), {"decibels": [-12, 6]}, Draws.of(0, 0, ["a"]))
# ["decibels -3.4 (of -12 to 6)"], and from now on this Gain takes 3.4 dB away
"""

from __future__ import annotations

from typing import Any

from src.transforms.augmentation import Augmentation
from src.transforms.draws import Draws
from src.transforms.waveform import BackgroundNoise, Reverberation
from src.transforms.waveform.clip_bank import ClipBank

UNITS = {"snr": " dB", "cutoff": " Hz", "max_seconds": " s", "max_shift": " frames"}
FOLDERS = ("folder", "pattern")


def fix_one_draw(augmentation: Augmentation, settings: dict[str, Any], draws: Draws) -> list[str]:
    """Draws once from each setting that is an interval or a list, and leaves no other choice.

    So it does with the recordings of a folder. Where masks, gaps and the warped point lie stays
    open.

    Args:
        augmentation: is changed.
        settings: those of its config.
        draws: of one utterance.

    Returns:
        Settings and draws in words.
    """
    words = []
    for name, value in settings.items():
        if name in FOLDERS:
            continue
        choice = ""
        if isinstance(value, list):
            value, choice = _draw(augmentation, name, value, draws)
        number = f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else f"{value:.0f}"
        words.append(f"{name} {number}{UNITS.get(name, '')}{choice}")
    if isinstance(augmentation, BackgroundNoise):
        words.insert(0, _keep_one(augmentation.clips, draws))
    if isinstance(augmentation, Reverberation):
        words.insert(0, _keep_one(augmentation, draws))
    return words


def _draw(
    augmentation: Augmentation, name: str, values: list[float], draws: Draws
) -> tuple[float, str]:
    """One of `values`, of which `augmentation` now knows no other, and what there was to draw."""
    if isinstance(getattr(augmentation, name), tuple):  # an interval, see `augmentation.interval`
        low, high = values
        drawn = low + (high - low) * draws.host_uniform().item()
        setattr(augmentation, name, (drawn, drawn))
        return drawn, f" (of {low:g} to {high:g})"
    drawn = values[draws.integers(len(values)).item()]
    setattr(augmentation, name, [drawn])
    return drawn, f" (of {', '.join(f'{value:g}' for value in values)})"


def _keep_one(recordings: ClipBank | Reverberation, draws: Draws) -> str:
    """The name of the one recording that is left."""
    recordings.paths = [recordings.paths[draws.integers(len(recordings.paths)).item()]]
    return recordings.paths[0].name
