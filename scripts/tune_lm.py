"""Finds the language model's weight and the word bonus on a development set.

    python scripts/tune_lm.py saved/RUN --data data/LibriSpeech/dev-clean --lm LM.arpa
    python scripts/tune_lm.py saved/RUN --data data/LibriSpeech/dev-clean --lm LM.arpa \\
        --alpha 0.2 0.4 0.6 --beta 0 1 2 --beam 16 50 --decoder pyctcdecode_lm

The model is run once and its log-probabilities are kept (see src/trainer/log_probs.py); then
every point of the grid is decoded. OUT, by default saved/RUN/tune_lm, gets grid.csv and one heat
map a beam; the best values are printed as overrides. Choose on a development set, never on the
test set.
"""

from __future__ import annotations

import argparse
import csv
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.decoding.from_config import build_decoder
from src.decoding.log_prob_set import LogProbSet
from src.metrics import ErrorCounts, word_errors
from src.text_encoder import CTCTextEncoder
from src.trainer.hub import run_path
from src.trainer.log_probs import log_probs_of
from src.utils.entry_point import entry_point


@entry_point
def main() -> None:
    args = parse_arguments()
    utterances, text_encoder = log_probs_of(args.run, args.data, args.utterances)
    wer = np.array(
        [
            word_error_rate(args, beam, alpha, beta, utterances, text_encoder)
            for beam, alpha, beta in tqdm(
                list(product(args.beam, args.alpha, args.beta)), "grid", disable=None
            )
        ]
    ).reshape(len(args.beam), len(args.alpha), len(args.beta))

    out = args.out or (args.run if isinstance(args.run, Path) else Path()) / "tune_lm"
    out.mkdir(parents=True, exist_ok=True)
    write_grid(out / "grid.csv", args, wer)
    for beam, values in zip(args.beam, wer):
        draw_heat_map(out / f"beam_{beam}.png", beam, values, args)

    beam, alpha, beta = (int(index) for index in np.unravel_index(wer.argmin(), wer.shape))
    prefix = f"metrics.{args.decoder}"
    print(f"WER {100 * wer.min():.2f}% of {len(utterances)} utterances; the grid is in {out}")
    print(
        f"{prefix}.beam_size={args.beam[beam]} {prefix}.alpha={args.alpha[alpha]:g} "
        f"{prefix}.beta={args.beta[beta]:g}"
        + (f" {prefix}.prior_scale={args.prior_scale:g}" if args.prior_scale else "")
    )
    for name, values, index in (("alpha", args.alpha, alpha), ("beta", args.beta, beta)):
        if len(values) > 1 and index in (0, len(values) - 1):
            print(f"{name}={values[index]:g} is at the edge of the grid: try values beyond it")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", metavar="RUN_DIR", type=run_path, help="run folder, or hf://USER/REPO")
    add("--data", type=Path, required=True, help="folder of a part in LibriSpeech's layout")
    add("--lm", required=True, help="ARPA file")
    add("--decoder", default="beam_search_lm", help="of configs/decoder; default: beam_search_lm")
    add("--alpha", type=float, nargs="+", default=np.linspace(0.1, 1.0, 10).round(2).tolist())
    add("--beta", type=float, nargs="+", default=np.linspace(-1.0, 3.0, 9).tolist())
    add("--beam", type=int, nargs="+", default=[16], help="default: 16")
    add("--prior-scale", type=float, default=0.0, help="see BeamSearchDecoder; default: 0")
    add("--utterances", type=int, help="drawn with a fixed seed; default: all")
    add("--out", type=Path, help="folder to write to; default: RUN_DIR/tune_lm, or tune_lm")
    args = parser.parse_args()
    for name in ("alpha", "beta", "beam"):
        setattr(args, name, sorted(set(getattr(args, name))))
    return args


def word_error_rate(
    args: argparse.Namespace,
    beam: int,
    alpha: float,
    beta: float,
    utterances: LogProbSet,
    text_encoder: CTCTextEncoder,
) -> float:
    options: dict[str, Any] = {"lm": args.lm, "beam_size": beam, "alpha": alpha, "beta": beta}
    if args.prior_scale:
        options["prior_scale"] = args.prior_scale
    decoder = build_decoder(args.decoder, text_encoder, utterances.frame_seconds, **options)
    total = ErrorCounts()
    for log_probs, length, texts in utterances.batches(100):
        for text, n_best in zip(texts, decoder(log_probs, length)):
            total += word_errors(text, n_best[0].text)
    return total.rate


def write_grid(path: Path, args: argparse.Namespace, wer: np.ndarray) -> None:
    """wer [beams, alphas, betas] -> a line a point."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["beam_size", "alpha", "beta", "wer"])
        points = product(args.beam, args.alpha, args.beta)
        writer.writerows([*point, rate] for point, rate in zip(points, wer.flat))


def draw_heat_map(path: Path, beam: int, wer: np.ndarray, args: argparse.Namespace) -> None:
    """wer [alphas, betas], fractions."""
    figure = Figure(
        figsize=(2.5 + 0.7 * len(args.beta), 1.8 + 0.45 * len(args.alpha)), layout="constrained"
    )
    axes = figure.add_subplot()
    picture = axes.imshow(100 * wer, origin="lower", aspect="auto", cmap="viridis_r")
    axes.set_xticks(range(len(args.beta)), [f"{beta:g}" for beta in args.beta])
    axes.set_yticks(range(len(args.alpha)), [f"{alpha:g}" for alpha in args.alpha])
    axes.set_xlabel("beta, bonus of a word")
    axes.set_ylabel("alpha, weight of the LM")
    axes.set_title(f"{args.decoder}, beam {beam}: WER, %", loc="left", fontsize=10)
    middle = (wer.min() + wer.max()) / 2
    for (row, column), rate in np.ndenumerate(wer):
        color = "white" if rate > middle else "black"
        weight = "bold" if rate == wer.min() else "normal"
        text = f"{100 * rate:.1f}"
        axes.text(
            column, row, text, ha="center", va="center", color=color, weight=weight, fontsize=8
        )
    figure.colorbar(picture, ax=axes, label="WER, %")
    FigureCanvasAgg(figure).print_png(str(path))


if __name__ == "__main__":
    main()
