"""Estimates a word n-gram language model (interpolated modified Kneser-Ney) as an ARPA file.

    python scripts/train_lm.py novels.txt.xz --order 3 --prune 0 0 1 -o novels-3gram.arpa
    zcat *.gz | python scripts/train_lm.py - --order 4 --min-count 2 -o 4gram.arpa.gz

Text has one sentence a line and may be .txt, .gz, .xz or - (standard input); it is normalised as
transcripts are. Pruned counts, discounts and probabilities are those of KenLM's `lmplz`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.decoding.arpa_writer import check_arpa_path, write_arpa
from src.decoding.kneser_ney import DEFAULT_FALLBACK, estimate, pruning_thresholds
from src.decoding.lm_text import SPECIAL_WORDS, Corpus, read_corpus
from src.utils.entry_point import entry_point
from src.utils.errors import UserError


@entry_point
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", metavar="TEXT", type=Path, nargs="+", help="files of text, or -")
    parser.add_argument("-o", "--output", metavar="LM.arpa[.gz]", type=Path, required=True)
    parser.add_argument("--order", type=int, default=3, help="words of an n-gram; default: 3")
    parser.add_argument(
        "--prune",
        metavar="N",
        type=int,
        nargs="+",
        default=[0],
        help="leave out n-grams that occur N times or less: a number for each order from 1 up, "
        "never falling, the last one for all higher orders; default: 0",
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--vocab-size", metavar="N", type=int, help="only the N most frequent words")
    limit.add_argument("--min-count", metavar="N", type=int, help="only words that occur N times")
    parser.add_argument(
        "--discount-fallback",
        metavar=("D1", "D2", "D3"),
        type=float,
        nargs=3,
        default=DEFAULT_FALLBACK,
        help="discounts where the text is too small to estimate them; default: 0.5 1 1.5",
    )
    args = parser.parse_args()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    pruning_thresholds(args.prune, args.order)
    check_arpa_path(args.output)

    corpus = read_corpus(args.text)
    vocabulary = limited_vocabulary(corpus, args.vocab_size, args.min_count)
    print(f"{corpus.sentences} sentences, {corpus.words_in_text} words,", end=" ")
    print(f"{len(corpus.words) - len(SPECIAL_WORDS)} different")
    model = estimate(corpus, args.order, args.prune, vocabulary, args.discount_fallback)
    for n, (ngrams, discount) in enumerate(zip(model.orders, model.discounts), 1):
        print(f"{n}-grams: {len(ngrams.word)}, D1 D2 D3+ = {np.round(discount[1:], 4)}")
    write_arpa(model, args.output)
    print(f"{args.output}: {args.output.stat().st_size / 2**20:.1f} MiB")


def limited_vocabulary(
    corpus: Corpus, size: int | None, min_count: int | None
) -> np.ndarray | None:
    """bool for each word of the corpus: whether it belongs to the model; None where all do."""
    if size is None and min_count is None:
        return None
    if (size or min_count or 0) < 1:
        raise UserError("--vocab-size and --min-count take a number from 1 up")
    count = np.bincount(corpus.tokens, minlength=len(corpus.words))
    if min_count is not None:
        return count >= min_count
    count[: len(SPECIAL_WORDS)] = 0
    chosen = np.zeros(len(count), bool)
    chosen[np.argsort(-count, kind="stable")[:size]] = True
    return chosen


if __name__ == "__main__":
    main()
