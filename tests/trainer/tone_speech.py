"""Speech of tones, and a recogniser that has learnt to hear it in 140 steps."""

from __future__ import annotations

import math
import random

import torch
from torch.nn.utils.rnn import pad_sequence

from src.loss import CTCLoss
from src.model import Conformer
from src.text_encoder import CTCTextEncoder
from src.trainer.pretrained import Pretrained
from src.transforms import LogMel, Transforms

ENCODER = CTCTextEncoder("abc ")
PITCHES = {"a": 300, "b": 900, "c": 2500}
STEPS = 140
SIZES = {
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 2,
    "kernel_size": 7,
    "subsampling_channels": 8,
    "positions": "rotary",
    "dropout": 0.0,
}


def speech(draw: random.Random, words: int) -> tuple[torch.Tensor, str]:
    """Tones for letters, a short silence after each and a longer one between words."""
    text, parts = [], []
    for _ in range(words):
        letters = "".join(draw.choices("abc", k=draw.randint(1, 4)))
        for letter in letters:
            time = torch.arange(int(draw.uniform(0.1, 0.2) * 16000)) / 16000
            loudness = draw.uniform(0.1, 0.5)
            parts += [
                loudness * torch.sin(2 * math.pi * PITCHES[letter] * time),
                torch.zeros(int(draw.uniform(0.06, 0.12) * 16000)),
            ]
        parts.append(torch.zeros(int(draw.uniform(0.4, 0.6) * 16000)))
        text.append(letters)
    audio = torch.cat(parts)
    noise = torch.randn(len(audio), generator=torch.Generator().manual_seed(draw.randint(0, 9999)))
    return (audio + 0.003 * noise).clamp(-1, 1), " ".join(text)


def trained() -> Pretrained:
    torch.manual_seed(0)
    model = Conformer(vocab_size=len(ENCODER), **SIZES)
    transforms, loss = Transforms(LogMel()), CTCLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=STEPS)
    draw = random.Random(0)
    for _ in range(STEPS):
        audio, texts = zip(*(speech(draw, draw.randint(1, 5)) for _ in range(8)))
        tokens = [torch.tensor(ENCODER.encode(text)) for text in texts]
        batch = transforms(pad_sequence(audio, True), torch.tensor([len(a) for a in audio]))
        batch |= model(**batch)
        value = loss(
            **batch,
            tokens=pad_sequence(tokens, batch_first=True),
            token_length=torch.tensor([len(t) for t in tokens]),
        )["loss"]
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    print(f"loss {value.item():.4f}")
    return Pretrained(model.eval(), transforms.eval(), ENCODER, None, None)
