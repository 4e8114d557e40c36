"""Text that grows while audio arrives: nothing doubled, nothing dropped at the seams."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
import torch

from src.app.partial_text import PartialText
from src.decoding import ArgmaxDecoder
from src.text_encoder import CTCTextEncoder
from src.transforms.log_mel import LogMel

ENCODER = CTCTextEncoder()
FRAME = 640  # samples
DECODER = ArgmaxDecoder(ENCODER)


class LooksOnly:
    """A listener that sees each frame's token in its samples, and no other frame."""

    sample_rate, frame_samples, device = 16000, FRAME, torch.device("cpu")

    def __init__(self) -> None:
        transforms = SimpleNamespace(log_mel=LogMel())
        self.pretrained = SimpleNamespace(text_encoder=ENCODER, transforms=transforms)
        self.longest = 0

    def hear(self, window):
        self.longest = max(self.longest, len(window.audio))
        frames = window.audio.split(FRAME)
        tokens = torch.tensor([round(frame[0].item() * 64) for frame in frames])
        scores = torch.full((len(frames), len(ENCODER)), -9.0)
        scores[torch.arange(len(frames)), tokens] = 0.0
        future = Future()
        future.set_result(scores.log_softmax(dim=-1))
        return future


def text_of(log_probs):
    return DECODER(log_probs[None], torch.tensor([len(log_probs)]))[0][0].text


def spoken(text: str, generator: torch.Generator) -> torch.Tensor:
    """Samples: each letter a frame or two, with blanks in between."""
    tokens = []
    for token in ENCODER.encode(text):
        blanks = int(torch.randint(1, 5, (), generator=generator))
        tokens += [token] * int(torch.randint(1, 3, (), generator=generator)) + [0] * blanks
    return (torch.tensor(tokens) / 64).repeat_interleave(FRAME)


@pytest.mark.parametrize("step", [FRAME * 10, 8000, 70001, 10**9])
def test_the_text_is_that_of_the_whole(step):
    generator = torch.Generator().manual_seed(0)
    words = [
        "".join("abcde"[i] for i in torch.randint(5, (4,), generator=generator)) for _ in range(120)
    ]
    text = " ".join(words)
    audio = spoken(text, generator)
    listener = LooksOnly()
    partial = PartialText(listener, text_of, size=100, overlap=25)
    so_far = 0
    for part in audio.split(step):
        so_far += len(part)
        found = partial.step(part)
        # all of what was said until now, but for the word that is being said
        assert text.startswith(found.rpartition(" ")[0])
        assert partial.seconds == pytest.approx(so_far / 16000)
    assert found == text
    assert listener.longest <= 100 * FRAME


def test_too_little_to_hear_is_no_text():
    partial = PartialText(LooksOnly(), text_of, size=100, overlap=25)
    assert partial.step(torch.full((4000,), 1 / 64)) == ""
    assert partial.step(torch.full((8000,), 1 / 64)) == "a"


def test_what_is_held_does_not_grow():
    generator = torch.Generator().manual_seed(0)
    partial = PartialText(LooksOnly(), text_of, size=100, overlap=25)
    sizes = []
    for part in spoken("the quick brown fox " * 60, generator).split(16000):
        partial.step(part)
        held = 0 if partial._held is None else len(partial._held)
        sizes.append((len(partial._audio), held))
    assert len(sizes) > 100
    assert max(audio for audio, _ in sizes) <= 100 * FRAME
    assert max(held for _, held in sizes) <= 200 + 100
