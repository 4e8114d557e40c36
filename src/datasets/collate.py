"""Items in, one padded batch out: `DataLoader(dataset, collate_fn=Collate(text_encoder))`."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch.nn.utils.rnn import pad_sequence


class TextEncoder(Protocol):
    """What the datasets ask of a text encoder; see `src.text_encoder`."""

    def encode(self, text: str) -> list[int]: ...


class Collate:
    """Pads audio and tokens with zeros on the right.

    The batch: `audio` [B, S] float32, `audio_length` [B] int64 samples, `tokens` [B, U] int64,
    `token_length` [B] int64, and the lists `text`, `utterance_id`, `path`, `duration`. An
    utterance without a transcript keeps `text` None and has no tokens.
    """

    def __init__(self, text_encoder: TextEncoder) -> None:
        self.text_encoder = text_encoder

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        audio = [item["audio"] for item in items]
        tokens = [
            torch.tensor(self.text_encoder.encode(item["text"] or ""), dtype=torch.int64)
            for item in items
        ]
        return {
            "audio": pad_sequence(audio, batch_first=True),
            "audio_length": torch.tensor([len(waveform) for waveform in audio]),
            "tokens": pad_sequence(tokens, batch_first=True),
            "token_length": torch.tensor([len(sequence) for sequence in tokens]),
            "text": [item["text"] for item in items],
            "utterance_id": [item["utterance_id"] for item in items],
            "path": [item["path"] for item in items],
            "duration": [item["duration"] for item in items],
        }
