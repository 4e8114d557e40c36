"""Writes synthetic speech, the same utterances that training hears, as FLAC files with transcripts.

    python scripts/make_synthetic_corpus.py data/synthetic --split test --size 200
    python scripts/make_synthetic_corpus.py data/LibriSpeech/synthetic --layout librispeech

layouts:
    folder        OUT/audio/*.flac and OUT/transcriptions/*.txt with the same stems
    librispeech   OUT/speaker/chapter/speaker-chapter-utterance.flac and .trans.txt

The same arguments write the same bytes again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.datasets.sentence_grammar import SPLITS
from src.datasets.synthetic_speech import SyntheticSpeechDataset
from src.utils.entry_point import entry_point


@entry_point
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write to")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    parser.add_argument("--size", type=int, default=200, help="utterances; default: 200")
    parser.add_argument("--seed", type=int, default=0, help="of the corpus; default: 0")
    parser.add_argument("--layout", choices=["folder", "librispeech"], default="folder")
    args = parser.parse_args()
    if args.out.is_file():
        parser.error(f"{args.out} is a file: name a folder")

    place = {"folder": folder_place, "librispeech": librispeech_place}[args.layout]
    dataset = SyntheticSpeechDataset(args.split, args.size, args.seed)
    transcripts: dict[Path, str] = {}
    seconds = 0.0
    for position in range(len(dataset)):
        item = dataset[position]
        audio, transcript, line = place(item, position)
        (args.out / audio).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(args.out / audio, item["audio"].numpy(), dataset.sample_rate, "PCM_16")
        transcripts[transcript] = transcripts.get(transcript, "") + line + "\n"
        seconds += item["duration"]
    for transcript, text in transcripts.items():
        (args.out / transcript).parent.mkdir(parents=True, exist_ok=True)
        (args.out / transcript).write_text(text, encoding="utf-8")

    speakers = len({row["speaker"] for row in dataset.index})
    words = sum(len(text.split()) for text in dataset.texts)
    print(f"{args.out}: {len(dataset)} utterances, {seconds / 3600:.2f} h,", end=" ")
    print(f"{speakers} speakers, {words} words")


def folder_place(item: dict[str, Any], position: int) -> tuple[Path, Path, str]:
    """Where the audio goes, where the transcript, and its line there."""
    name = item["utterance_id"]
    return Path("audio", f"{name}.flac"), Path("transcriptions", f"{name}.txt"), item["text"]


def librispeech_place(item: dict[str, Any], position: int) -> tuple[Path, Path, str]:
    """As `folder_place`: one chapter a speaker, whose name loses its hyphens."""
    speaker = item["speaker"].replace("-", "_")
    folder, name = Path(speaker, "0"), f"{speaker}-0-{position:04d}"
    line = f"{name} {item['text'].upper()}"
    return folder / f"{name}.flac", folder / f"{speaker}-0.trans.txt", line


if __name__ == "__main__":
    main()
