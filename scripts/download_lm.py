"""Fetches official LibriSpeech language models (OpenSLR 11) into DATA/lm, in lower case.

    python scripts/download_lm.py
    python scripts/download_lm.py 3-gram.pruned.3e-7 4-gram --data-dir /datasets

A line that breaks is resumed; a model that is there already is compared with its SHA-256. Where
there is no network, put NAME.arpa.gz from https://www.openslr.org/11 into DATA/lm and run this.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.decoding.lm_files import BASE_URL, OFFICIAL_LMS, check_lm, find_lm
from src.utils.entry_point import entry_point


@entry_point
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        default=["3-gram.pruned.1e-7"],
        help=f"of {', '.join(OFFICIAL_LMS)}; default: 3-gram.pruned.1e-7",
    )
    parser.add_argument("--data-dir", metavar="DATA", type=Path, default=Path("data"))
    parser.add_argument("--base-url", metavar="URL", default=BASE_URL, help="of a mirror")
    args = parser.parse_args()
    if unknown := set(args.names) - set(OFFICIAL_LMS):
        parser.error(f"{', '.join(unknown)} is none of {', '.join(OFFICIAL_LMS)}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in args.names:
        path = find_lm(name, args.data_dir, args.base_url)
        check_lm(path)
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
