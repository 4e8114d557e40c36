"""A trained recogniser for ONNX Runtime: one graph from audio to log-probabilities.

    pip install onnx onnxruntime
    python scripts/export_onnx.py saved/RUN --int8
    python inference.py inferencer.from_pretrained=saved/RUN inferencer.backend=onnx ...
    python inference.py inferencer.from_pretrained=saved/RUN inferencer.backend=onnx_int8 ...
    python scripts/benchmark_backends.py saved/RUN --data data/LibriSpeech/dev-clean --json OUT

Writes RUN/onnx/, which needs nothing beside it: model.onnx, with --int8 model.int8.onnx, config,
text encoder, checksums. The best checkpoint is taken, else the last. The graph is compared with
PyTorch on noise of several lengths and batch sizes; above 1e-3 nothing is written. Speech with next
to nothing in a band can be further away (RESULTS.md, Backends).

    audio [batch, samples] float32 in [-1, 1]    ->    log_probs [batch, frames, vocabulary]
    audio_length [batch] int64                         log_prob_length [batch]

Sample rate, seconds of a frame and the vocabulary are in the file's metadata. Two inputs may be
left out: feature_mean and feature_variance [80], of the recording that the audio is a part of.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.trainer.hub import run_path
from src.trainer.onnx_export import export_onnx
from src.trainer.onnx_pretrained import FILES
from src.utils.entry_point import entry_point


@entry_point
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", metavar="RUN_DIR", type=run_path, help="run folder, checkpoint, hf://USER/REPO")
    add("-o", "--output", metavar="DIR", type=Path, help="default: RUN_DIR/onnx")
    add("--int8", action="store_true", help="a quantised graph as well")
    args = parser.parse_args()
    folder, differences = export_onnx(args.run, args.output, args.int8)
    for backend, largest in differences.items():
        size = (folder / FILES[backend]).stat().st_size / 1e6
        print(
            f"{folder / FILES[backend]}: {size:.1f} MB, log-probabilities of noise within "
            f"{largest:.1g} of PyTorch's"
        )


if __name__ == "__main__":
    main()
