"""Learning curves of runs, in one picture: loss, and error rate on the validation part.

    python scripts/plot_runs.py saved/A saved/B -o curves.svg
    python scripts/plot_runs.py saved/A --metric argmax/cer --after saved/BOOTSTRAP -o curves.png

A run's steps are counted from 0; one that began with `trainer.init_from` may be drawn behind the
one it came from: `--after`. The losses of training are averaged over the steps between two rows
of metrics.csv, those of validation stand at the step of the evaluation.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.utils.entry_point import entry_point
from src.utils.errors import UserError

Curve = tuple[list[int], list[float]]


@entry_point
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", metavar="RUN_DIR", type=Path, nargs="+")
    parser.add_argument("--after", metavar="RUN_DIR", type=Path, help="run that all go on from")
    parser.add_argument("--metric", default="argmax/wer", help="default: argmax/wer")
    parser.add_argument("-o", "--out", type=Path, required=True, help=".svg, .png or .pdf file")
    args = parser.parse_args()

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    start = draw(left, right, args.after, args.metric, 0, "0.5") if args.after else 0
    for number, run in enumerate(args.runs):
        draw(left, right, run, args.metric, start, f"C{number}")
    label(left, "CTC loss per token; dashed: validation")
    label(right, f"{args.metric} on validation, %")
    right.legend(frameon=False)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out)
    print(args.out)


def draw(left: Axes, right: Axes, run: Path, metric: str, start: int, color: str) -> int:
    """Adds a run, and returns the last step of it."""
    rows = read_rows(run)
    train, val = curve(rows, "train", "loss", start), curve(rows, "val", "loss", start)
    rates = curve(rows, "val", metric, start)
    if not rates[0]:
        raise UserError(f"{run} has no {metric} of its validation part: name one with --metric.")
    left.plot(*train, color=color, linewidth=1)
    left.plot(*val, color=color, linestyle="--", marker="o", markersize=3)
    right.plot(
        rates[0], [100 * r for r in rates[1]], color=color, marker="o", markersize=4, label=run.name
    )
    return max(train[0] + val[0])


def read_rows(run: Path) -> list[dict[str, str]]:
    try:
        with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{run} is no run folder with a metrics.csv: {error.strerror}.") from None


def curve(rows: list[dict[str, str]], mode: str, name: str, start: int) -> Curve:
    found = [row for row in rows if row["mode"] == mode and row.get(name)]
    return [start + int(row["step"]) for row in found], [float(row[name]) for row in found]


def label(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("optimizer step")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
