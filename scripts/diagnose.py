"""What limits a recogniser: fit, over-fitting, the language model, or spelling.

    python scripts/diagnose.py saved/RUN --lm LM.arpa \\
        --train data/LibriSpeech/train-clean-5 --dev data/LibriSpeech/dev-clean --json OUT

Four questions, in the order in which they are worth asking:
    fit         argmax WER and CER of training speech (of phonemes their error rate, too): high
                means a longer run or a larger model
    over-fit    the same of development speech: far above training means more data or augmentation
    language    perplexity and unknown words of the development transcripts; WER with the language
                model; the oracle, the best of its N readings; and of the wrong readings, how many
                score below the reference (the search's fault: a wider beam) and how many above it
                (the models')
    spelling    of argmax's substituted words, how many are one letter from right; words that are
                not in the language model's vocabulary
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rapidfuzz.distance import Levenshtein

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.decoding.argmax import ArgmaxDecoder
from src.decoding.beam_search import BeamSearchDecoder
from src.decoding.checks import spells_with_letters
from src.decoding.hypothesis import Hypothesis
from src.decoding.log_prob_set import LogProbSet
from src.decoding.ngram_lm import NGramLM
from src.decoding.reference_score import reference_score
from src.decoding.token_prior import scaled_prior, without_prior
from src.metrics import ErrorCounts, align_words, character_errors, error_rates, word_errors
from src.metrics.recognition_metrics import Decoder
from src.text_encoder import CTCTextEncoder
from src.trainer.hub import run_path
from src.trainer.log_probs import log_probs_of
from src.utils.entry_point import entry_point


@entry_point
def main() -> None:
    args = parse_arguments()
    found: dict[str, Any] = {}
    lm = NGramLM.from_arpa(args.lm)
    for split in ("train", "dev"):
        data = getattr(args, split)
        utterances, text_encoder = log_probs_of(args.run, data, args.utterances)
        argmax = ArgmaxDecoder(text_encoder=text_encoder, frame_seconds=utterances.frame_seconds)
        readings = decoded(utterances, argmax)
        heard = [best.text for best, *_ in readings]
        found[split] = rates(utterances.texts, heard)
        report(f"{split:5} {data.name}, {len(utterances)} utterances, argmax", found[split])
        if not spells_with_letters(text_encoder):
            found[split]["ter"] = token_error_rate(utterances.texts, readings, text_encoder)
            print(f"{text_encoder.unit}, error rate: {found[split]['ter']:.2%}")
    found["language"] = language(utterances, text_encoder, lm, args)
    found["spelling"] = spelling(utterances.texts, heard, lm)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", metavar="RUN_DIR", type=run_path, help="run folder, or hf://USER/REPO")
    add("--train", type=Path, required=True, help="part that it was trained on")
    add("--dev", type=Path, required=True, help="part that it was not trained on")
    add("--lm", type=Path, required=True, help="ARPA file")
    add("--utterances", type=int, default=500, help="of each part; default: 500")
    add("--alpha", type=float, default=0.5, help="weight of the LM; default: 0.5")
    add("--beta", type=float, default=1.5, help="bonus of a word; default: 1.5")
    add("--vocabulary", choices=("open", "closed"), default="open", help="closed: the LM's words")
    add("--prior-scale", type=float, default=0.0, help="see BeamSearchDecoder; default: 0")
    add("--beam", type=int, default=50, help="prefixes kept; default: 50")
    add("--n-best", type=int, default=20, help="readings for the oracle; default: 20")
    add("--json", metavar="OUT", type=Path, help="file to write the figures to")
    return parser.parse_args()


def decoded(utterances: LogProbSet, decoder: Decoder) -> list[list[Hypothesis]]:
    """An n-best list for each utterance."""
    return [
        n_best
        for log_probs, length, _ in utterances.batches(100)
        for n_best in decoder(log_probs, length)
    ]


def token_error_rate(
    references: list[str], readings: list[list[Hypothesis]], text_encoder: CTCTextEncoder
) -> float:
    """Edits between the tokens of the references and of the first readings, over the former."""

    def written(tokens: Sequence[int]) -> str:
        return " ".join(text_encoder.vocab[token].replace(" ", "|") for token in tokens)

    counts = [
        word_errors(written(text_encoder.encode(text)), written(best.tokens))
        for text, [best, *_] in zip(references, readings)
    ]
    return sum(counts, ErrorCounts()).rate


def rates(references: list[str], heard: list[str]) -> dict[str, Any]:
    pairs = list(zip(references, heard))
    return error_rates([word_errors(*p) for p in pairs], [character_errors(*p) for p in pairs])


def report(name: str, figures: dict[str, Any]) -> None:
    low, high = figures["wer_interval"]
    print(
        f"{name}: WER {figures['wer']:.2%} ({low:.2%} - {high:.2%}), CER {figures['cer']:.2%}, "
        f"{figures['substitutions']} substituted, {figures['deletions']} deleted, "
        f"{figures['insertions']} inserted"
    )


def language(
    utterances: LogProbSet, text_encoder: CTCTextEncoder, lm: NGramLM, args: argparse.Namespace
) -> dict[str, Any]:
    """Perplexity, WER with the model, oracle WER, and whose fault the wrong readings are."""
    weights = {"lm": lm, "alpha": args.alpha, "beta": args.beta, "vocabulary": args.vocabulary}
    options = {**weights, "prior_scale": args.prior_scale}
    heard = n_best_lists(utterances, text_encoder, args.beam, 1, options)
    readings = n_best_lists(utterances, text_encoder, args.beam, args.n_best, options)
    prior = scaled_prior(text_encoder, args.prior_scale) if args.prior_scale else torch.zeros(1)
    wrong = search = 0
    oracle = ErrorCounts()
    for log_probs, text, [best], others in zip(
        utterances.log_probs, utterances.texts, heard, readings
    ):
        errors = [word_errors(text, hypothesis.text) for hypothesis in (best, *others)]
        oracle += min(errors, key=lambda count: count.errors)
        if best.text != text:
            wrong += 1
            searched = without_prior(log_probs, prior)
            score = reference_score(text, searched, text_encoder, **weights)
            search += score > best.score + 1e-3
    perplexity, unknown = lm_perplexity(lm, utterances.texts)
    first = rates(utterances.texts, [best.text for [best] in heard])
    report(
        f"with the LM (alpha {args.alpha:g}, beta {args.beta:g}, prior {args.prior_scale:g}, "
        f"beam {args.beam}, {args.vocabulary} vocabulary)",
        first,
    )
    print(
        f"best of {args.n_best} readings (oracle): WER {oracle.rate:.2%}; of {wrong} wrong "
        f"readings {search} score below the reference: the search lost it; for {wrong - search} "
        "the models prefer the wrong text"
    )
    print(f"perplexity of the transcripts {perplexity:.0f}, unknown words {unknown:.2%}")
    figures = {"perplexity": perplexity, "unknown_words": unknown, "oracle_wer": oracle.rate}
    return {**first, **figures, "wrong_utterances": wrong, "search_errors": search}


def n_best_lists(
    utterances: LogProbSet,
    text_encoder: CTCTextEncoder,
    beam_size: int,
    n_best: int,
    options: dict[str, Any],
) -> list[list[Hypothesis]]:
    """One reading is searched for by itself: then prefixes that go on alike are recombined."""
    decoder = BeamSearchDecoder(
        text_encoder=text_encoder,
        frame_seconds=utterances.frame_seconds,
        beam_size=beam_size,
        n_best=n_best,
        **options,
    )
    return decoded(utterances, decoder)


def lm_perplexity(lm: NGramLM, texts: list[str]) -> tuple[float, float]:
    """Of a word or </s> that the LM knows; and the share of words that it does not know."""
    total = known = unknown = words = 0.0
    for text in texts:
        spoken = text.split()
        scores = lm.score_sentence(spoken)
        kept = [score for word, score in zip([*spoken, "</s>"], scores) if word in lm]
        total, known = total + sum(kept), known + len(kept)
        unknown, words = unknown + len(scores) - len(kept), words + len(spoken)
    return math.exp(-total / max(known, 1)), unknown / max(words, 1)


def spelling(references: list[str], heard: list[str], lm: NGramLM) -> dict[str, Any]:
    pairs = [pair for texts in zip(references, heard) for pair in align_words(*texts)]
    substituted = [pair for pair in pairs if pair.edit == "S"]
    near = sum(Levenshtein.distance(p.reference, p.hypothesis) == 1 for p in substituted)
    no_word = sum(pair.hypothesis not in lm for pair in substituted)
    count = max(len(substituted), 1)
    print(
        f"of argmax's {len(substituted)} substituted words {near / count:.0%} are one letter from "
        f"right, {no_word / count:.0%} are no word that the LM knows"
    )
    return {
        "substituted": len(substituted),
        "one_letter": near / count,
        "not_in_vocabulary": no_word / count,
    }


if __name__ == "__main__":
    main()
