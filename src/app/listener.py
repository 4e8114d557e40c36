"""Recordings in, log-probabilities out: windows of all clients share the forward passes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from src.app.batcher import Batcher
from src.app.recording import Recording
from src.app.refusal import Cancelled
from src.app.settings import Settings
from src.trainer.pretrained import Pretrained
from src.trainer.windows import stitch, window_frames
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.audio_stream import chunks
from src.utils.cores import available_cores

AHEAD = 2  # windows of one recording under way at once: others' come in between


@dataclass(frozen=True)
class Window:
    """audio [n] in [-1, 1]; the statistics are of the recording that it is of."""

    audio: Tensor
    statistics: FeatureStatistics


class Listener:
    """A model that hears the windows of several recordings at once."""

    def __init__(self, pretrained: Pretrained, settings: Settings) -> None:
        self.pretrained = pretrained
        log_mel = pretrained.transforms.log_mel
        self.sample_rate = log_mel.sample_rate
        self.frame_samples = log_mel.hop_samples * pretrained.model.subsampling.factor
        self.device = next(pretrained.model.parameters()).device
        self.size = window_frames(settings.window_seconds, pretrained.frame_seconds)
        self.overlap = window_frames(settings.overlap_seconds, pretrained.frame_seconds)
        self.batcher: Batcher[Window, Tensor] = Batcher(
            self._hear_batch,
            settings.max_batch,
            settings.max_wait_ms / 1000,
            size=lambda window: len(window.audio),
            max_size=settings.max_batch_seconds * self.sample_rate,
            max_queue=(AHEAD + 1) * settings.max_requests + settings.max_streams,
        )
        self._first_passes = threading.Semaphore(available_cores())

    def hear(self, window: Window) -> Future[Tensor]:
        """Its log-probabilities [T, V], on the CPU, once its batch is done."""
        return self.batcher.submit(window)

    @torch.no_grad()
    def pieces(self, recording: Recording, cancelled: threading.Event) -> Iterator[Tensor]:
        """The recording's log-probabilities [n, V], piece after piece, as `inference.py` has them.

        Raises `Cancelled` once the event is set.
        """
        log_mel = self.pretrained.transforms.log_mel
        with self._first_passes:
            statistics, _ = FeatureStatistics.of(
                recording.blocks(self.sample_rate), log_mel, self.device
            )
        windows = chunks(
            recording.blocks(self.sample_rate),
            self.size * self.frame_samples,
            self.overlap * self.frame_samples,
        )
        yield from stitch(self._heard(windows, statistics, cancelled), self.size, self.overlap)

    def _heard(
        self,
        windows: Iterator[tuple[Tensor, bool]],
        statistics: FeatureStatistics,
        cancelled: threading.Event,
    ) -> Iterator[tuple[Tensor, bool]]:
        waiting: deque[tuple[Future[Tensor], bool]] = deque()
        for audio, is_last in windows:
            if cancelled.is_set():
                raise Cancelled
            waiting.append((self.hear(Window(audio, statistics)), is_last))
            while waiting and (is_last or len(waiting) >= AHEAD):
                future, of_last = waiting.popleft()
                yield future.result(), of_last

    @torch.no_grad()
    def _hear_batch(self, windows: list[Window]) -> list[Tensor]:
        audio = pad_sequence([window.audio for window in windows], batch_first=True)
        audio = audio.to(self.device)
        length = torch.tensor([len(window.audio) for window in windows], device=self.device)
        features, feature_length = self.pretrained.transforms.log_mel(audio, length)
        statistics = FeatureStatistics(
            torch.stack([window.statistics.mean for window in windows])[:, None],
            torch.stack([window.statistics.variance for window in windows])[:, None],
        )
        features = statistics.normalize(features, feature_length)
        output = self.pretrained.model(features=features, feature_length=feature_length)
        log_probs, lengths = output["log_probs"].cpu(), output["log_prob_length"].tolist()
        # copies, or one window's would keep all of the batch
        return [log_probs[b, :count].clone() for b, count in enumerate(lengths)]
