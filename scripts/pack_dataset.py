"""Packs corpora into memory-mapped 16-bit PCM, so that training never waits for a decoder.

    python scripts/pack_dataset.py data/LibriSpeech/train-clean-100 data/LibriSpeech/dev-clean
    python scripts/pack_dataset.py train.jsonl --out /scratch/packs
    python scripts/pack_dataset.py --verify data/LibriSpeech/train-clean-100.packed

A SOURCE is a part in LibriSpeech's layout or a NeMo-style manifest. Its pack, `SOURCE.packed/`,
takes 115 MB an hour (LibriSpeech's FLAC: about 63) and holds texts, speakers and durations as well.
Datasets take a pack that lies beside its source by themselves; one that lies elsewhere by
`datasets.train.packed=DIR`. Items are equal bit by bit where the source is 16-bit, 16 kHz and mono
(FLAC, wav); other sources are resampled, mixed and rounded to 16 bits, and read only where
`packed=true` or a folder demands it. A pack whose source changed is not read; packing again
replaces it. A packing that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.datasets.librispeech_index import librispeech_index, part_fingerprint
from src.datasets.manifest import fill_durations, manifest_fingerprint, manifest_rows
from src.datasets.packed import Pack, load_pack, pack_folder, verify_pack
from src.datasets.packed_writer import Source, write_pack
from src.logger import setup_logging
from src.utils.cores import available_cores
from src.utils.entry_point import entry_point
from src.utils.errors import UserError


@entry_point
def main() -> None:
    args = parse_arguments()
    setup_logging()
    for path in args.sources:
        if args.verify:
            verify_pack(path)
            print(f"{path}: whole, every checksum agrees")
        else:
            pack_source(path, pack_folder(path, args.out), args.workers, args.shard_hours)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sources", metavar="SOURCE", type=Path, nargs="+", help="with --verify: a pack")
    add("--out", metavar="DIR", type=Path, help="folder of the packs; default: beside the source")
    add("--workers", type=int, default=available_cores(), help="decoders; default: all cores")
    add("--shard-hours", type=float, default=8.0, help="audio in a file; default: 8 (0.9 GB)")
    add("--verify", action="store_true", help="compare the checksums of packs that are there")
    args = parser.parse_args()
    if args.workers < 1 or args.shard_hours <= 0:
        parser.error("--workers and --shard-hours must be positive")
    return args


def pack_source(path: Path, out: Path, workers: int, shard_hours: float) -> None:
    source = read_source(path)
    pack = finished_pack(out)
    if pack is None or pack.fingerprint != source.fingerprint:
        write_pack(source, out, workers, shard_hours)
        pack = load_pack(out)
    hours = sum(row["duration"] for row in pack.rows) / 3600
    kind = "equal to the source bit by bit" if pack.exact else "rounded to 16 bits"
    print(f"{out}: {len(pack.rows)} utterances, {hours:.2f} h, {kind}")


def read_source(path: Path) -> Source:
    if path.is_dir():
        return Source(path, librispeech_index(path), part_fingerprint(path))
    if path.is_file():
        rows = manifest_rows(path)
        fill_durations(rows)
        return Source(Path(), rows, manifest_fingerprint(path, rows))
    raise UserError(f"{path} does not exist: name a LibriSpeech part or a manifest.")


def finished_pack(out: Path) -> Pack | None:
    try:
        return load_pack(out)
    except UserError:
        return None


if __name__ == "__main__":
    main()
