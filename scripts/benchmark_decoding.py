"""Speed and word error rate of every decoder on the same log-probabilities.

    python scripts/benchmark_decoding.py --json OUT --lm LM.arpa --text SENTENCES.txt
    python scripts/benchmark_decoding.py --json OUT --lm LM.arpa --posteriors flat \\
        --encoder sentencepiece --vocab-size 256 --text SENTENCES.txt.xz --utterances 200
    python scripts/benchmark_decoding.py --json OUT --lm LM.arpa \\
        --run saved/RUN --data data/LibriSpeech/dev-clean
    python scripts/benchmark_decoding.py --json OUT --decoders argmax pyctcdecode beam_search

Log-probabilities are those of a run folder's model, or simulated from text
(src/decoding/simulate.py; without --text, from sentences of the demo's grammar). The decoders
take turns in every round, and the median of the rounds counts. First each works on one core,
then on all that it can use: pyctcdecode's processes, beam_search's threads.

OUT has `settings` and `results`: a row for each decoder, beam (null for argmax) and cores, with
`wer` and `cer` (fractions), `ms_per_utterance`, `rtfx` (seconds of audio in a second), and
`speed_of`, how many times as fast it is as each peer with the same beam and cores.
"""

from __future__ import annotations

import argparse
import json
import lzma
import platform
import random
import statistics
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.datasets.sentence_grammar import SentenceGrammar
from src.decoding.from_config import build_decoder
from src.decoding.log_prob_set import LogProbSet
from src.decoding.simulate import simulate
from src.metrics import ErrorCounts, character_errors, word_errors
from src.text_encoder import CTCTextEncoder, SentencePieceCTCTextEncoder, normalize_text
from src.trainer.hub import run_path
from src.trainer.log_probs import log_probs_of
from src.utils.cores import available_cores
from src.utils.entry_point import entry_point
from src.utils.errors import UserError


class Contender(NamedTuple):
    """`options` beside the config's own; `cores` is the option that counts cores, if any."""

    config: str
    with_lm: bool = False
    options: dict[str, Any] = {}  # noqa: RUF012 (never written to)
    cores: str | None = None


CONTENDERS = {
    "argmax": Contender("argmax"),
    "pyctcdecode": Contender("pyctcdecode", cores="num_processes"),
    "pyctcdecode_lm": Contender("pyctcdecode_lm", True, cores="num_processes"),
    "flashlight_lm": Contender("flashlight_lm", True),
    "flashlight_lm_pruned": Contender(
        "flashlight_lm", True, {"beam_threshold": 10.0, "beam_size_token": 40}
    ),
    "beam_search": Contender("beam_search", cores="num_threads"),
    "beam_search_lm": Contender("beam_search_lm", True, cores="num_threads"),
    "beam_search_lm_pruned": Contender(  # as much as pyctcdecode prunes
        "beam_search_lm",
        True,
        {"beam_prune_logp": -10.0, "token_min_logp": -5.0},
        cores="num_threads",
    ),
    "beam_search_lm_closed": Contender(
        "beam_search_lm", True, {"vocabulary": "closed"}, cores="num_threads"
    ),
}
PEERS = ("pyctcdecode", "pyctcdecode_lm", "flashlight_lm", "flashlight_lm_pruned")


class Case(NamedTuple):
    """One row of the result."""

    decoder: str
    beam: int | None
    cores: int


@entry_point
def main() -> None:
    args = parse_arguments()
    utterances, text_encoder = log_probabilities(args)
    batches = list(utterances.batches(args.batch_size))
    print(
        f"{len(utterances)} utterances of {utterances.seconds / len(utterances):.1f} s on average, "
        f"{len(text_encoder)} tokens"
    )
    results = []
    for cores in dict.fromkeys([1, available_cores()]):
        torch.set_num_threads(cores)
        decoders = {}
        for case in cases(args, cores):
            contender = CONTENDERS[case.decoder]
            options = dict(contender.options)
            if case.beam is not None:
                options["beam_size"] = case.beam
            if contender.with_lm:
                options |= {"lm": args.lm, "alpha": args.alpha, "beta": args.beta}
            if contender.cores:
                options[contender.cores] = cores
            decoders[case] = build_decoder(
                contender.config, text_encoder, utterances.frame_seconds, **options
            )
        results += measure(decoders, batches, utterances, args.rounds)
    settings = {key: value for key, value in vars(args).items() if key != "json"}
    settings |= {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(
        json.dumps({"settings": settings, "results": results}, indent=2, default=str) + "\n"
    )
    print_table(results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--json", metavar="OUT", type=Path, required=True, help="file to write")
    add("--text", type=Path, help="sentences, one a line (.txt or .txt.xz), to simulate")
    add("--run", type=run_path, help="run folder or hf://USER/REPO that gives log-probabilities")
    add("--data", type=Path, help="with --run: folder of a part in LibriSpeech's layout")
    add("--lm", help="ARPA file; without it, only decoders without an LM run")
    add("--alpha", type=float, default=0.5, help="weight of the LM; default: 0.5")
    add("--beta", type=float, default=1.5, help="bonus of a word; default: 1.5")
    add("--beams", type=int, nargs="+", default=[8, 16, 50, 100], help="default: 8 16 50 100")
    add("--utterances", type=int, default=200, help="drawn with a fixed seed; default: 200")
    add("--encoder", choices=["characters", "sentencepiece"], default="characters")
    add("--vocab-size", type=int, default=256, help="of sentencepiece; default: 256")
    add("--posteriors", choices=["peaky", "flat"], default="peaky", help="when simulated")
    add("--decoders", nargs="+", choices=list(CONTENDERS), help="default: all that can run")
    add("--rounds", type=int, default=3, help="median of so many; default: 3")
    add("--batch-size", type=int, default=50, help="utterances a call; default: 50")
    args = parser.parse_args()
    if bool(args.run) != bool(args.data):
        parser.error("--run and --data go together: whose model, and what it hears")
    if args.run and args.text:
        parser.error("give --run for a model's log-probabilities or --text to simulate them")
    if not args.decoders:
        args.decoders = [name for name, c in CONTENDERS.items() if args.lm or not c.with_lm]
    if not args.lm and any(CONTENDERS[name].with_lm for name in args.decoders):
        parser.error("decoders with a language model need --lm")
    return args


def log_probabilities(args: argparse.Namespace) -> tuple[LogProbSet, CTCTextEncoder]:
    if args.run:
        return log_probs_of(args.run, args.data, args.utterances)
    sentences = read_sentences(args.text)
    text_encoder = CTCTextEncoder()
    if args.encoder == "sentencepiece":
        text_encoder = SentencePieceCTCTextEncoder(args.vocab_size).fit(sentences)
    texts = random.Random(0).sample(sentences, min(args.utterances, len(sentences)))
    return simulate(texts, text_encoder, posteriors=args.posteriors), text_encoder


def read_sentences(path: Path | None) -> list[str]:
    """All of a file's, or 1000 of the demo corpus' grammar."""
    if path is None:
        grammar, rng = SentenceGrammar(), random.Random(0)
        return [grammar.sentence(rng, split="test") for _ in range(1000)]
    try:
        with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8") as file:
            sentences = [text for line in file if (text := normalize_text(line))]
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise UserError(f"--text {path} cannot be read ({error}); name a text file") from None
    if not sentences:
        raise UserError(f"--text {path} has no sentence in it")
    return sentences


def cases(args: argparse.Namespace, cores: int) -> list[Case]:
    """With several cores, only the decoders that use them."""
    found = []
    for name in args.decoders:
        beams = [None] if name == "argmax" else args.beams
        if cores == 1 or CONTENDERS[name].cores:
            found += [Case(name, beam, cores) for beam in beams]
    return found


def measure(
    decoders: dict[Case, Any], batches: list, utterances: LogProbSet, rounds: int
) -> list[dict[str, Any]]:
    seconds: dict[Case, list[float]] = {case: [] for case in decoders}
    texts: dict[Case, list[str]] = {}
    log_probs, length, _ = batches[0]
    for decoder in decoders.values():  # compiles, forks and fills caches
        decoder(log_probs[:2], length[:2])
    for _, (case, decoder) in product(range(rounds), decoders.items()):
        started = time.perf_counter()
        n_bests = [n_best for batch in batches for n_best in decoder(*batch[:2])]
        seconds[case].append(time.perf_counter() - started)
        texts[case] = [n_best[0].text for n_best in n_bests]

    median = {case: statistics.median(values) for case, values in seconds.items()}
    results = []
    for case in decoders:
        pairs = list(zip(utterances.texts, texts[case], strict=True))
        speed_of = {
            peer: round(median[theirs] / median[case], 2)
            for peer in PEERS
            if (theirs := Case(peer, case.beam, case.cores)) in median and peer != case.decoder
        }
        results.append(
            {
                **case._asdict(),
                "wer": sum((word_errors(*pair) for pair in pairs), ErrorCounts()).rate,
                "cer": sum((character_errors(*pair) for pair in pairs), ErrorCounts()).rate,
                "ms_per_utterance": round(1000 * median[case] / len(utterances), 4),
                "rtfx": round(utterances.seconds / median[case], 1),
                "speed_of": speed_of,
            }
        )
    return results


def print_table(results: list[dict[str, Any]]) -> None:
    print(f"{'decoder':22} {'beam':>4} {'cores':>5} {'WER %':>6} {'ms/utt':>8} {'RTFx':>8}  times")
    for row in results:
        times = ", ".join(f"{times:.1f}x {peer}" for peer, times in row["speed_of"].items())
        print(
            f"{row['decoder']:22} {row['beam'] or '':>4} {row['cores']:>5} "
            f"{100 * row['wer']:6.2f} {row['ms_per_utterance']:8.2f} {row['rtfx']:8.0f}  {times}"
        )


if __name__ == "__main__":
    main()
