"""Records of an inference run, made up."""

from __future__ import annotations

import random
from typing import Any

from src.metrics import character_errors, error_rates, word_errors

VOCABULARY = ["the", "a", "of", "and", "to", "in", "he", "was", "that", "it", "his", "with", "as"]


def record(
    name: str, reference: str | None, text: str, sure: list[float] | None = None, **more: Any
) -> dict[str, Any]:
    """Word i is from i to i + 0.5 seconds."""
    words = [
        {"text": word, "start": float(i), "end": i + 0.5, "confidence": confidence}
        for i, (word, confidence) in enumerate(zip(text.split(), sure or []))
    ]
    known = {} if reference is None else {"reference": reference}
    return {"utterance_id": name, "text": text, "score": -1.0, "words": words, **known, **more}


def summary_of(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    pairs = [(row["reference"], row["text"]) for row in records if "error" not in row]
    return {
        "argmax": error_rates(
            [word_errors(*pair) for pair in pairs], [character_errors(*pair) for pair in pairs]
        )
    }


def many(count: int) -> list[dict[str, Any]]:
    """A tenth of the words are wrong."""
    rng = random.Random(0)
    found = []
    for number in range(count):
        said = rng.choices(VOCABULARY, k=rng.randint(3, 25))
        heard = [rng.choice(VOCABULARY) if rng.random() < 0.1 else word for word in said]
        found.append(
            record(
                f"utterance-{number}",
                " ".join(said),
                " ".join(heard),
                [rng.random() for _ in heard],
                duration=0.4 * len(said),
            )
        )
    return found
