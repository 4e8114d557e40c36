"""From a recording to hypotheses: the one way there, for `inference.py` and `Transcriber`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from src.decoding import Hypothesis
from src.decoding.segments import joined, segments
from src.trainer.backends import AnyPretrained
from src.trainer.windows import check_windows, window_frames, windowed_log_probs
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.audio_stream import AudioSource

SEGMENT_SECONDS = 60  # decoded at once, at least; twice as many at most

# log_probs [B, T, V], lengths [B] -> for each decoder, by its name, n-best lists for each of B
Decode = Callable[[Tensor, Tensor], dict[str, list[list[Hypothesis]]]]


class Recognizer:
    """A model with its decoders.

    Args:
        decode: several decoders as one, such as `RecognitionMetrics.decode`.
        window_seconds, overlap_seconds: of the windows that longer recordings are heard in.
        max_batch_seconds: of audio in a batch of windows.
    """

    def __init__(
        self,
        pretrained: AnyPretrained,
        decode: Decode,
        window_seconds: float = 30.0,
        overlap_seconds: float = 6.0,
        max_batch_seconds: float = 120.0,
    ) -> None:
        check_windows(window_seconds, overlap_seconds)
        self.pretrained = pretrained
        self.decode = decode
        self.window_seconds = window_seconds
        self.overlap_seconds = overlap_seconds
        self.windows_at_once = max(1, int(max_batch_seconds // window_seconds))

    @torch.inference_mode()
    def batch(self, batch: dict[str, Any]) -> dict[str, list[list[Hypothesis]]]:
        """Each decoder's n-best lists for the recordings of a batch, heard whole."""
        batch = self.pretrained.process_batch(batch)
        return self.decode(batch["log_probs"], batch["log_prob_length"])

    @torch.inference_mode()
    def recording(self, source: AudioSource) -> tuple[dict[str, Hypothesis], float]:
        """Each decoder's best hypothesis of a recording of any length, and its seconds.

        What is held at once is a batch of windows and the log-probabilities of a segment. The
        source is read twice. One that is no longer than a window is heard whole, as in a batch.
        Raises as the source does.
        """
        pretrained = self.pretrained
        log_mel = pretrained.transforms.log_mel
        blocks = source.blocks(log_mel.sample_rate)
        statistics, samples = FeatureStatistics.of(blocks, log_mel, pretrained.device)
        pieces = windowed_log_probs(
            pretrained,
            source.blocks(log_mel.sample_rate),
            statistics,
            window_frames(self.window_seconds, pretrained.frame_seconds),
            window_frames(self.overlap_seconds, pretrained.frame_seconds),
            self.windows_at_once,
        )
        return self.best(pieces), samples / log_mel.sample_rate

    def best(self, pieces: Iterable[Tensor]) -> dict[str, Hypothesis]:
        """Each decoder's best hypothesis of log-probabilities [n, V] that follow on each other."""
        pretrained = self.pretrained
        at_once = window_frames(SEGMENT_SECONDS, pretrained.frame_seconds)
        parts: dict[str, list[tuple[int, Hypothesis]]] = defaultdict(list)
        first = 0
        for segment in segments(pieces, pretrained.text_encoder, at_once):
            length = torch.tensor([len(segment)], device=segment.device)
            for name, [n_best] in self.decode(segment[None], length).items():
                parts[name].append((first, n_best[0]))
            first += len(segment)
        return {name: joined(found, pretrained.frame_seconds) for name, found in parts.items()}
