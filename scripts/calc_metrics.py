"""Error rates of transcripts that exist, without any model.

    python scripts/calc_metrics.py REF_DIR HYP_DIR
    python scripts/calc_metrics.py ref.trn hyp.trn --raw
    python scripts/calc_metrics.py data/LibriSpeech/test-clean saved/RUN/test --html report.html
    python scripts/calc_metrics.py ref.jsonl system_a.ctm system_b.jsonl --json comparison.json

Folders of .txt, paired by their path (LibriSpeech's *.trans.txt too); .trn of sclite; .ctm;
.jsonl with text, pred_text or prediction, reference; Kaldi's text; folders that inference.py
wrote. Text is normalised as for training; --raw compares what is written, word by word.

The alignment is the one with the fewest errors, as jiwer's; sclite's, which weighs substitutions
more, has the same number unless most of an utterance is wrong, and then may have more.

A missing hypothesis counts as deletions. With a second system, the difference of the error
rates has the interval and the two-sided p-value of the paired bootstrap over utterances
(Bisani and Ney 2004).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.metrics import (
    ErrorCounts,
    character_errors,
    error_rates,
    interval_of,
    paired_bootstrap,
    word_errors,
)
from src.metrics.transcript_files import Record, read_transcripts
from src.text_encoder import normalize_text
from src.utils.atomic_file import write_text_atomically
from src.utils.entry_point import entry_point
from src.utils.errors import UserError


class System(NamedTuple):
    """`records` and `words` by utterance, in the references' order."""

    name: str
    records: dict[str, Record]
    words: dict[str, ErrorCounts]
    rates: dict[str, Any]


@entry_point
def main() -> None:
    args = parse_arguments()
    normalise = joined if args.raw else normalize_text
    references = {
        name: normalise(record["text"])
        for name, record in read_transcripts(args.reference, "reference").items()
    }
    if not any(references.values()):
        raise UserError(f"{args.reference} has no word in any transcript: nothing to score against")
    systems = [
        score(path, references, normalise) for path in (args.hypothesis, args.second) if path
    ]
    result: dict[str, Any] = {
        "reference": str(args.reference),
        "normalised": not args.raw,
        "systems": [{"hypothesis": system.name, **system.rates} for system in systems],
    }
    print_table(systems)
    if args.second:
        result["difference"] = compare(*systems)
    if args.json:
        write(args.json, json.dumps(result, indent=2) + "\n")
    if args.html:
        write_html(args.html, references, systems[0])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("reference", metavar="REF", type=Path, help="folder or file of what was said")
    add("hypothesis", metavar="HYP", type=Path, help="folder or file of what was recognised")
    add("second", metavar="HYP2", type=Path, nargs="?", help="the same of another system")
    add("--raw", action="store_true", help="do not normalise text: case and punctuation count")
    add("--json", metavar="OUT", type=Path, help="file to write all figures to (fractions)")
    add("--html", metavar="OUT", type=Path, help="report to write of HYP: errors word by word")
    return parser.parse_args()


def joined(text: str) -> str:
    """Words with single spaces between them, else as written."""
    return " ".join(text.split())


def score(path: Path, references: dict[str, str], normalise: Callable[[str], str]) -> System:
    hypotheses = matched(read_transcripts(path, "hypothesis"), references, path)
    records, words, characters = {}, {}, []
    for name, reference in references.items():
        record = hypotheses.get(name, {"text": ""})
        records[name] = {**record, "text": normalise(record["text"])}
        words[name] = word_errors(reference, records[name]["text"])
        characters.append(character_errors(reference, records[name]["text"]))
    missing = [name for name in references if name not in hypotheses]
    extra = len(hypotheses.keys() - references.keys())
    if missing:
        print(
            f"{path}: {count(missing, 'utterance')} of {len(references)} missing, counted as "
            f"deletions ({some(missing)})"
        )
    if extra:
        print(f"{path}: {extra} without a reference, ignored")
    wrong = sum(utterance.errors > 0 for utterance in words.values())
    rates = {
        **error_rates(list(words.values()), characters),
        "cer_interval": list(interval_of(characters)),
        "sentence_error_rate": wrong / len(references),
        "missing": len(missing),
        "extra": extra,
    }
    return System(str(path), records, words, rates)


def matched(
    hypotheses: dict[str, Record], references: dict[str, str], path: Path
) -> dict[str, Record]:
    """By id or, where no id is common, by its last part: `a/b/x` of a folder is `x` of a file."""
    if hypotheses.keys() & references.keys():
        return hypotheses
    last_parts = Counter(PurePosixPath(name).name for name in references)
    full = {PurePosixPath(name).name: name for name in references}
    renamed: dict[str, Record] = {}
    for name, record in hypotheses.items():
        part = PurePosixPath(name).name
        name = full[part] if last_parts[part] == 1 else name
        if name in renamed:
            raise UserError(f"{path} has two transcripts that are named {part}: rename one")
        renamed[name] = record
    if not renamed.keys() & references.keys():
        raise UserError(
            f"{path} has no utterance in common with the references: it has such as "
            f"{next(iter(hypotheses))}, they have such as {next(iter(references))}"
        )
    return renamed


def count(things: list, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def print_table(systems: list[System]) -> None:
    rates = systems[0].rates
    print(f"{rates['utterances']} utterances, {rates['words']} words")
    header = ("", "WER %", "95% interval", "CER %", "95% interval", "SER %", "sub", "del", "ins")
    rows = [header]
    for name, _, _, rates in systems:
        edits = (str(rates[kind]) for kind in ("substitutions", "deletions", "insertions"))
        rows.append(
            (
                *(name, percent(rates["wer"]), interval(rates["wer_interval"])),
                *(percent(rates["cer"]), interval(rates["cer_interval"])),
                *(percent(rates["sentence_error_rate"]), *edits),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths))
        print("  ".join([first.strip().ljust(widths[0]), *others]))


def percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def interval(ends: list[float]) -> str:
    return f"{percent(ends[0])} - {percent(ends[1])}"


def compare(first: System, second: System) -> dict[str, Any]:
    found = paired_bootstrap(
        [utterance.errors for utterance in first.words.values()],
        [utterance.errors for utterance in second.words.values()],
        [utterance.reference_length for utterance in first.words.values()],
    )
    low, high = (100 * end for end in found.interval)
    print(
        f"{second.name} against {first.name}: {100 * found.difference:+.2f} points of WER, "
        f"95% interval {low:+.2f} - {high:+.2f}, {found.p_text} (paired bootstrap)"
    )
    return {
        "wer": found.difference,
        "wer_interval": list(found.interval),
        "p_value": found.p_value,
    }


def write_html(path: Path, references: dict[str, str], system: System) -> None:
    from src.report import write_report

    records = [
        {**record, "utterance_id": name, "reference": references[name]}
        for name, record in system.records.items()
    ]
    write_report(records, {system.name: system.rates}, path, title=system.name)
    print(f"the report is {path}")


def write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    main()
