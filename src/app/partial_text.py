"""Text of a recording that has not ended yet.

The model hears windows, the last of which is open: it is heard anew whenever more of it is there.
Closed windows are stitched as those of a long recording are (`src.trainer.windows`); what is
before the last seam is fixed, and only the text since a pause before it is decoded again.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from src.app.listener import Listener, Window
from src.decoding.segments import segments
from src.trainer.windows import stitch
from src.transforms.feature_statistics import FeatureStatistics

SHORTEST_SECONDS = 0.5  # statistics of less say nothing


class PartialText:
    """Holds a window of audio and log-probabilities of three at most.

    Args:
        decode: log-probabilities [T, V] -> text.
        size, overlap: of the windows, in output frames.

    Attributes: `seconds`, how much was heard.
    """

    def __init__(
        self, listener: Listener, decode: Callable[[Tensor], str], size: int, overlap: int
    ) -> None:
        self.listener, self.decode, self.size, self.overlap = listener, decode, size, overlap
        self.samples = 0
        self._audio = torch.zeros(0)  # since the open window's start
        self._sums = torch.zeros(2, listener.pretrained.transforms.log_mel.n_mels).double()
        self._frames = 0  # of features before the open window, whose sums those are
        self._closed: Tensor | None = None  # log-probabilities of the last closed window
        self._start = 0  # frame of it from which on nothing is held yet
        self._held: Tensor | None = None  # log-probabilities before the seam, not fixed yet
        self._fixed: list[str] = []

    @property
    def seconds(self) -> float:
        return self.samples / self.listener.sample_rate

    def step(self, audio: Tensor) -> str:
        """The text of all that was heard, with audio [n] new."""
        self.samples += len(audio)
        self._audio = torch.cat([self._audio, audio])
        while len(self._audio) > self.size * self.listener.frame_samples:
            self._close()
        if self.samples < SHORTEST_SECONDS * self.listener.sample_rate:
            return ""
        open_ = [self._heard(self._audio)]
        if self._closed is not None:
            whole, last = stitch(iter([(self._closed, False), (open_[0], True)]), *self._sizes)
            open_ = [whole[self._start :], last]
        held = [] if self._held is None else [self._held]
        return self._text(self.decode(torch.cat([*held, *open_])))

    @property
    def _sizes(self) -> tuple[int, int]:
        return self.size, self.overlap

    def _text(self, last: str) -> str:
        return " ".join(text for text in [*self._fixed, last] if text)

    def _close(self) -> None:
        """The open window is full: another begins `overlap` frames before its end."""
        frame = self.listener.frame_samples
        window, step = self._audio[: self.size * frame], (self.size - self.overlap) * frame
        heard = self._heard(window)
        if self._closed is not None:
            piece = next(stitch(iter([(self._closed, False), (heard, False)]), *self._sizes))
            self._hold(piece[self._start :])
            self._start = len(piece) - (self.size - self.overlap)
        self._closed = heard
        features = self._features(window)[: step // self._hop]
        self._sums += torch.stack([features.sum(dim=0), features.square().sum(dim=0)])
        self._frames += len(features)
        self._audio = self._audio[step:].clone()

    def _hold(self, piece: Tensor) -> None:
        held = piece if self._held is None else torch.cat([self._held, piece])
        *done, self._held = segments([held], self.listener.pretrained.text_encoder, self.size)
        self._fixed += filter(None, map(self.decode, done))

    @property
    def _hop(self) -> int:
        return self.listener.pretrained.transforms.log_mel.hop_samples

    def _features(self, audio: Tensor) -> Tensor:
        """[F, M] of audio [n], not normalised."""
        log_mel, device = self.listener.pretrained.transforms.log_mel, self.listener.device
        features, _ = log_mel(audio[None].to(device), torch.tensor([len(audio)], device=device))
        return features[0].double().cpu()

    @torch.no_grad()
    def _heard(self, audio: Tensor) -> Tensor:
        """Log-probabilities [T, V] of a window, normalised by all that was heard up to its end."""
        features = self._features(audio)
        frames = self._frames + len(features)
        mean = (self._sums[0] + features.sum(dim=0)) / frames
        squares = (self._sums[1] + features.square().sum(dim=0)) / frames
        variance = (squares - mean.square()).clamp_min(0.0)
        device = self.listener.device
        statistics = FeatureStatistics(mean.float().to(device), variance.float().to(device))
        return self.listener.hear(Window(audio, statistics)).result()
