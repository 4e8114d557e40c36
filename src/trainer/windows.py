"""A long recording through the model in overlapping windows, as if it had been one.

Self-attention costs the square of the length and positions beyond the training's are strange to
the model, so a recording is heard a window at a time. What is lost is the context beyond a window.
To lose nothing that matters:

- features are normalised with the statistics of the whole recording, from a first pass over it;
- windows start at multiples of the model's output frame, so that frames are the same ones;
- two windows meet inside their overlap, away from both edges, where both are surest that no
  token is: a token that the two place a frame apart is then neither doubled nor dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d
from torch.nn.utils.rnn import pad_sequence

from src.trainer.backends import AnyPretrained
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.audio_stream import chunks
from src.utils.errors import UserError

CALM = 5  # frames around a seam that should all be blank


def window_frames(seconds: float, frame_seconds: float) -> int:
    """The nearest number of output frames, at least one."""
    return max(1, round(seconds / frame_seconds))


def check_windows(window_seconds: float, overlap_seconds: float) -> None:
    """Raises `UserError` for windows that do not get on, or overlaps without a middle."""
    if window_seconds < 1:
        raise UserError(f"window_seconds={window_seconds}: use 1 or more")
    if not 0.4 <= overlap_seconds <= window_seconds / 2:
        raise UserError(
            f"overlap_seconds={overlap_seconds}: use 0.4 to half of window_seconds={window_seconds}"
        )


def windowed_log_probs(
    pretrained: AnyPretrained,
    blocks: Iterable[Tensor],
    statistics: FeatureStatistics,
    size: int,
    overlap: int,
    batch_size: int = 1,
) -> Iterator[Tensor]:
    """The recording's log-probabilities in pieces [n, V], one after the other, on the device.

    Holds `batch_size` windows at once.

    Args:
        blocks: its waveform [n] in [-1, 1] at the model's rate, one after the other.
        statistics: of its features.
        size, overlap: of the windows, in output frames.
    """
    frame = pretrained.frame_samples
    windows = chunks(blocks, size * frame, overlap * frame)
    yield from stitch(_log_probs(pretrained, statistics, windows, batch_size), size, overlap)


def _log_probs(
    pretrained: AnyPretrained,
    statistics: FeatureStatistics,
    windows: Iterator[tuple[Tensor, bool]],
    batch_size: int,
) -> Iterator[tuple[Tensor, bool]]:
    """Of each window [n, V], and whether it is the last."""
    waiting: list[Tensor] = []
    for waveform, is_last in windows:
        waiting.append(waveform)
        if len(waiting) < batch_size and not is_last:
            continue
        audio = pad_sequence(waiting, batch_first=True).to(statistics.mean.device)
        length = torch.tensor([len(waveform) for waveform in waiting], device=audio.device)
        output = pretrained.process_batch({"audio": audio, "audio_length": length}, statistics)
        lengths = output["log_prob_length"].tolist()
        for position, count in enumerate(lengths):
            yield output["log_probs"][position, :count], is_last and position == len(lengths) - 1
        waiting = []


def stitch(windows: Iterator[tuple[Tensor, bool]], size: int, overlap: int) -> Iterator[Tensor]:
    """Pieces [n, V] that follow on each other, from windows that overlap.

    Args:
        windows: log-probabilities [n, V] of each, and whether it is the last. All but the last
            have `size` frames or more; each starts `size - overlap` frames after the one before.
        size, overlap: in frames.
    """
    before: Tensor | None = None
    start = 0  # frame of `before` from which on nothing has been given out yet
    for window, is_last in windows:
        if before is not None:
            seam = seam_frame(before[size - overlap : size, 0], window[:overlap, 0])
            yield before[start : size - overlap + seam]
            start = seam
        before = window
        if is_last:
            yield window[start:]


def seam_frame(left: Tensor, right: Tensor) -> int:
    """Where to go over from one window to the next, in frames from the start of their overlap.

    left, right: [n] each, log-probabilities of the blank in the overlap as the two see it (the
    last may be shorter than the overlap). It is the frame in the middle half around which the
    less sure of the two is surest, and of several such frames the one nearest the middle.
    """
    count = min(len(left), len(right))
    blank = torch.minimum(left[:count], right[:count])
    calm = -max_pool1d(-blank[None], CALM, stride=1, padding=CALM // 2)[0]  # the minimum around
    quarter = count // 4
    frames = torch.arange(quarter, max(count - quarter, quarter + 1), device=left.device)
    distance = (frames - count / 2).abs()
    # a thousandth of a nat is no difference: then the frame with most context on both sides
    surest = calm[frames].clamp_max(-1e-3) - 1e-6 * distance
    return int(frames[surest.argmax()])
