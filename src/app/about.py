"""Which model this is, and what was measured of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from src.trainer.pretrained import Pretrained

SHOWN = ("wer", "wer_interval", "cer", "utterances", "words")


def about(pretrained: Pretrained, name: str) -> dict[str, Any]:
    """name: what the run was called on the command line."""
    encoder = pretrained.text_encoder
    return {
        "name": name if name.startswith("hf://") else pretrained.run_dir.name,
        "parameters": sum(weight.numel() for weight in pretrained.model.parameters()),
        "text_encoder": f"{len(encoder) - 1} {encoder.unit}",
        "measured": measured(pretrained.run_dir / "summary.json"),
    }


def measured(summary: Path) -> list[dict[str, Any]]:
    """The rates in a run's summary.json, those of test parts first; nothing where there is none."""
    try:
        splits = json.loads(summary.read_text(encoding="utf-8"))
        rows = [
            {"split": split, "decoder": decoder, **{key: rates.get(key) for key in SHOWN}}
            for split, decoders in splits.items()
            for decoder, rates in decoders.items()
            if "wer" in rates
        ]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
    return sorted(rows, key=lambda row: not row["split"].startswith("test"))
