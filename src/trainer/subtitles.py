"""Words with times as subtitles: SubRip (.srt) and WebVTT (.vtt).

A cue is at most 7 s and 84 characters in two lines, what subtitlers hold readable, and ends where
the speaker pauses. WebVTT: https://www.w3.org/TR/webvtt1
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence

from src.decoding import Word

MAX_SECONDS, MAX_CHARACTERS, LINE = 7.0, 84, 42
PAUSE = 1.0  # seconds that always part two cues
SHORTEST = 1.0  # seconds that a cue stays if it can: words end where their last token peaks

Cue = tuple[float, float, str]  # start and end in seconds, text


def to_srt(words: Sequence[Word]) -> str:
    return "\n".join(
        f"{number}\n{_time(start, ',')} --> {_time(end, ',')}\n{_lines(text)}\n"
        for number, (start, end, text) in enumerate(cues(words), start=1)
    )


def to_vtt(words: Sequence[Word]) -> str:
    blocks = [
        f"{_time(start, '.')} --> {_time(end, '.')}\n{html.escape(_lines(text), quote=False)}\n"
        for start, end, text in cues(words)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def cues(words: Sequence[Word]) -> list[Cue]:
    """Words put together, in order; no cue reaches into the next."""
    groups: list[list[Word]] = []
    for word in words:
        if groups and word.start - groups[-1][-1].end < PAUSE:
            groups[-1].append(word)
        else:
            groups.append([word])
    parts = [part for group in groups for part in _split(group)]
    starts = [part[0].start for part in parts] + [float("inf")]
    found = []
    for part, next_start in zip(parts, starts[1:]):
        start = part[0].start
        shown = min(max(part[-1].end, start + SHORTEST), start + MAX_SECONDS, next_start)
        found.append((start, max(shown, start + 0.001), " ".join(word.text for word in part)))
    return found


def _split(words: list[Word]) -> list[list[Word]]:
    """Parts that are short enough, cut at the longest pause in the middle half, again and again."""
    characters = sum(len(word.text) + 1 for word in words) - 1
    seconds = words[-1].end - words[0].start
    if len(words) == 1 or (characters <= MAX_CHARACTERS and seconds <= MAX_SECONDS):
        return [words]
    count = len(words)
    candidates = range(max(1, count // 4), max(2, count - count // 4))
    cut = max(candidates, key=lambda n: (words[n].start - words[n - 1].end, -abs(n - count / 2)))
    return [*_split(words[:cut]), *_split(words[cut:])]


def _lines(text: str) -> str:
    """Two lines of nearly equal length where one is too long."""
    if len(text) <= LINE:
        return text
    halves = textwrap.wrap(text, max(LINE, len(text) // 2 + 8), break_long_words=False)
    return "\n".join(halves)


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"
