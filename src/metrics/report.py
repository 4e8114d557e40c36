"""What was transcribed, how fast and how well, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEADER = ("split", "decoder", "WER %", "95% interval", "CER %", "sub", "del", "ins", "utterances")


def format_table(summaries: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """`{split: {decoder: summary}}` as of `RecognitionMetrics.summary`, a line a decoder.

    Where a split has `recordings` (see `Inferencer`), a line says how many, how long, how fast.
    The table is left out where nothing has a reference.
    """
    said = [
        _speed(split, decoders["recordings"])
        for split, decoders in summaries.items()
        if "recordings" in decoders
    ]
    rows: list[tuple[str, ...]] = [_HEADER]
    for split, decoders in summaries.items():
        for decoder, rates in decoders.items():
            if "wer" not in rates:
                continue
            low, high = rates["wer_interval"]
            edits = (str(rates[kind]) for kind in ("substitutions", "deletions", "insertions"))
            rows.append(
                (
                    split,
                    decoder,
                    f"{100 * rates['wer']:.2f}",
                    f"{100 * low:.2f} - {100 * high:.2f}",
                    f"{100 * rates['cer']:.2f}",
                    *edits,
                    str(rates["utterances"]),
                )
            )
    if len(rows) == 1:
        return "\n".join(said)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([*lines, *said])


def _speed(split: str, recordings: Mapping[str, Any]) -> str:
    line = f"{split}: {recordings['transcribed']} transcribed, {recordings['failed']} failed"
    if recordings["done_before"]:
        line += f", {recordings['done_before']} of them before"
    if recordings["real_time_factor"] is not None:
        line += (
            f"; {recordings['audio_seconds'] / 60:.1f} minutes of audio in "
            f"{recordings['seconds']:.1f} s, real-time factor {recordings['real_time_factor']:.4f}"
        )
    return line
