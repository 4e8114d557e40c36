"""Averages the weights of several checkpoints of a run into one that inference reads.

    python train.py trainer.save_every=1000 ...                 # keeps checkpoints/step_<n>
    python scripts/average_checkpoints.py saved/RUN --last 10   # of its numbered ones
    python scripts/average_checkpoints.py saved/RUN/checkpoints/{step_8000,best} --name mine
    python inference.py inferencer.from_pretrained=saved/RUN/checkpoints/average ...

With `trainer.ema_decay` these are averages already. Choose the number on the validation part.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from safetensors.torch import save_file

from src.trainer.average import average_weights, numbered_checkpoints
from src.trainer.checkpoint import WEIGHTS, find_checkpoint, run_dir_of
from src.utils.entry_point import entry_point


@entry_point
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", nargs="+", type=Path, help="a run folder, or checkpoint folders")
    parser.add_argument("--last", type=int, default=10, help="of a run folder; default: 10")
    parser.add_argument("--name", default="average", help="in checkpoints/; default: average")
    args = parser.parse_args()
    if args.last < 1:
        parser.error(f"--last is {args.last}: at least one checkpoint")

    if len(args.path) == 1 and not (args.path[0] / WEIGHTS).is_file():
        checkpoints = numbered_checkpoints(args.path[0])[-args.last :]
        if not checkpoints:
            parser.error(
                f"{args.path[0]} has no checkpoints/step_<n>: train with trainer.save_every, or "
                "name checkpoints"
            )
    else:
        checkpoints = [find_checkpoint(path, prefer=("best", "last")) for path in args.path]
    target = run_dir_of(checkpoints[0]) / "checkpoints" / args.name
    weights = average_weights(checkpoints)
    target.mkdir(exist_ok=True)
    save_file(weights, target / f"{WEIGHTS}.tmp")
    (target / f"{WEIGHTS}.tmp").replace(target / WEIGHTS)
    print(f"{target}: the mean of {', '.join(folder.name for folder in checkpoints)}")


if __name__ == "__main__":
    main()
