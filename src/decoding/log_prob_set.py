"""Log-probabilities with their transcripts: what decoders are compared and tuned on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass
class LogProbSet:
    """Utterances that need no acoustic model any more.

    Attributes:
        log_probs: one float32 tensor [T, V] an utterance, natural logarithms.
        texts: the transcripts.
        frame_seconds: between two frames.
    """

    log_probs: list[Tensor]
    texts: list[str]
    frame_seconds: float

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def seconds(self) -> float:
        return sum(map(len, self.log_probs)) * self.frame_seconds

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
        """log_probs [B, T, V], lengths [B] and transcripts, in order."""
        for start in range(0, len(self), batch_size):
            part = self.log_probs[start : start + batch_size]
            length = Tensor([len(utterance) for utterance in part]).long()
            texts = self.texts[start : start + batch_size]
            yield pad_sequence(part, batch_first=True), length, texts
