"""A small back-off model with random figures, for the decoders' tests."""

from __future__ import annotations

import itertools
import random
from pathlib import Path


def write_random_arpa(path: Path, words: list[str], order: int = 3, seed: int = 0) -> Path:
    """Every n-gram has its prefix and its suffix in the model, as estimated ones do."""
    draw = random.Random(seed)
    sections: list[list[tuple[str, ...]]] = [[(word,) for word in ["<unk>", "<s>", "</s>", *words]]]
    for n in range(2, order + 1):
        lower = set(sections[-1])
        histories = [gram for gram in sections[-1] if "</s>" not in gram and "<unk>" not in gram]
        candidates = [
            (*history, word)
            for history, word in itertools.product(histories, ["</s>", *words])
            if n == 2 or (*history[1:], word) in lower
        ]
        sections.append(sorted(draw.sample(candidates, max(1, len(candidates) // 2))))
    lines = ["\\data\\", *(f"ngram {n}={len(grams)}" for n, grams in enumerate(sections, 1))]
    for n, grams in enumerate(sections, 1):
        lines += ["", f"\\{n}-grams:"]
        for gram in grams:
            log_prob = -99.0 if gram == ("<s>",) else -draw.uniform(0.1, 2.0)
            backoff = f"\t{-draw.uniform(0, 1):.4f}" if n < order else ""
            lines.append(f"{log_prob:.4f}\t{' '.join(gram)}{backoff}")
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))
    return path
