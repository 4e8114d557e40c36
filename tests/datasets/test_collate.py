from __future__ import annotations

import torch

from src.datasets.collate import Collate


class Letters:
    def encode(self, text: str) -> list[int]:
        return [ord(char) - 96 for char in text]


def item(name: str, samples: list[float], text: str | None) -> dict:
    return {"utterance_id": name, "path": f"{name}.wav", "text": text, "duration": 0.1,
            "speaker": "", "audio": torch.tensor(samples)}  # fmt: skip


def test_batch_is_padded_with_zeros_on_the_right():
    batch = Collate(Letters())(
        [item("x", [0.1, 0.2, 0.3], "cab"), item("y", [0.4], None), item("z", [0.5, 0.6], "")]
    )
    torch.testing.assert_close(
        batch["audio"], torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.0, 0.0], [0.5, 0.6, 0.0]])
    )
    assert batch["audio_length"].tolist() == [3, 1, 2]
    assert batch["tokens"].tolist() == [[3, 1, 2], [0, 0, 0], [0, 0, 0]]
    assert batch["token_length"].tolist() == [3, 0, 0]
    assert {batch[key].dtype for key in ("audio_length", "tokens", "token_length")} == {torch.int64}
    assert batch["text"] == ["cab", None, ""]
    assert batch["utterance_id"] == ["x", "y", "z"]
    assert batch["path"] == ["x.wav", "y.wav", "z.wav"]
    assert batch["duration"] == [0.1] * 3


def test_a_batch_without_any_transcript_has_empty_tokens():
    batch = Collate(Letters())([item("x", [0.1], None), item("y", [0.2], None)])
    assert batch["tokens"].shape == (2, 0)
    assert batch["tokens"].dtype == torch.int64
