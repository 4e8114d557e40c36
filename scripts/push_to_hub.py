"""Publishes a run folder on the Hugging Face Hub: weights, config, text encoder, model card.

    python scripts/push_to_hub.py saved/RUN USER/REPO --dry-run staged        # look at it first
    hf auth login                                                             # or HF_TOKEN=...
    python scripts/push_to_hub.py saved/RUN USER/REPO --license cc-by-4.0
    python scripts/push_to_hub.py saved/RUN/checkpoints/average USER/REPO --revision averaged
    python inference.py inferencer.from_pretrained=hf://USER/REPO datasets.test.audio_dir=DIR

The best checkpoint is taken, else the last. What is published: src/trainer/hub_staging.py. Figures
of the card are those of RUN/summary.json; with --summary, those of an inference's summary.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.trainer.hub import REPO, SCHEME
from src.trainer.hub_staging import stage
from src.trainer.hub_upload import check_token, upload
from src.utils.entry_point import entry_point


@entry_point
def main() -> None:
    args = parse_arguments()
    what = (args.repo, args.license, args.summary, args.revision)
    if args.dry_run:
        names = stage(args.run, args.dry_run, *what)
        print(f"{args.dry_run}: {', '.join(names)}; nothing was uploaded")
        return
    check_token()
    with TemporaryDirectory() as folder:
        stage(args.run, Path(folder), *what)
        url = upload(Path(folder), args.repo, args.revision, args.message, args.private)
    revision = f"@{args.revision}" if args.revision else ""
    print(f"{url}\ninferencer.from_pretrained={SCHEME}{args.repo}{revision}")
    if not args.license:
        print("it has no license, so nobody may use it yet: choose one by --license")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", metavar="RUN_DIR", type=Path, help="run folder, or one of its checkpoints")
    add("repo", metavar="USER/REPO", help="made if there is none")
    add("--private", action="store_true", help="of a repository that is made")
    add("--revision", metavar="BRANCH", help="made if there is none; default: main")
    add("--message", default="Upload a recogniser", help="of the commit")
    add("--license", help="identifier such as cc-by-4.0 or mit; default: none granted")
    add("--summary", type=Path, help="figures for the card; default: RUN_DIR/summary.json")
    add("--dry-run", type=Path, metavar="DIR", help="write it all into DIR and upload nothing")
    args = parser.parse_args()
    if not REPO.fullmatch(args.repo):
        parser.error(f"{args.repo}: write USER/REPO")
    return args


if __name__ == "__main__":
    main()
