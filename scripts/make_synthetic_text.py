"""Writes sentences of the synthetic corpus, one a line: text to train a language model on.

    python scripts/make_synthetic_text.py data/synthetic/train.txt --size 50000
    python scripts/train_lm.py data/synthetic/train.txt --order 3 -o data/synthetic/lm.arpa

A sentence belongs to one split for ever: what is written of "train" is never spoken in "test".
The same arguments write the same bytes again.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.datasets.sentence_grammar import SPLITS, SentenceGrammar
from src.utils.entry_point import entry_point


@entry_point
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="text file to write")
    parser.add_argument("--split", choices=SPLITS, default="train", help="default: train")
    parser.add_argument("--size", type=int, default=50_000, help="sentences; default: 50000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    args = parser.parse_args()
    if args.size < 1:
        parser.error(f"--size is {args.size}: at least one sentence")
    if args.out.is_dir():
        parser.error(f"{args.out} is a folder: name a file")

    grammar, rng = SentenceGrammar(), random.Random(args.seed)
    sentences = [grammar.sentence(rng, args.split) for _ in range(args.size)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    words = sum(len(sentence.split()) for sentence in sentences)
    print(f"{args.out}: {args.size} sentences, {words} words")


if __name__ == "__main__":
    main()
