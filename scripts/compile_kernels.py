"""Compiles the beam search now (half a minute), instead of at its first use; `make install` does.

python scripts/compile_kernels.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.decoding.beam_search import BeamSearchDecoder
from src.text_encoder import CTCTextEncoder


def main() -> None:
    text_encoder = CTCTextEncoder()
    log_probs = torch.zeros(1, 1, len(text_encoder)).log_softmax(-1)
    BeamSearchDecoder(text_encoder)(log_probs, torch.tensor([1]))


if __name__ == "__main__":
    main()
