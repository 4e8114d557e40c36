"""Fine-tuning: a new run that starts from another one's weights and text encoder.

python train.py trainer.init_from=saved/RUN datasets=manifest optimizer.lr=2e-4
python train.py trainer.init_from=hf://USER/REPO datasets=manifest optimizer.lr=2e-4
python train.py trainer.init_from=saved/RUN trainer.init_text_encoder=false \
    text_encoder=sp_ctc_text_encoder
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from src.text_encoder import CTCTextEncoder, load_text_encoder
from src.trainer.checkpoint import find_checkpoint, load_weights, run_dir_of
from src.trainer.hub import local_run


def find_initial(path: str) -> Path:
    """The best checkpoint of a run folder, else its last; or the checkpoint that `path` names; or
    that of a repository on the Hub.

    Raises:
        UserError: there is none, or it is damaged.
    """
    return find_checkpoint(local_run(path), prefer=("best", "last"))


def initial_text_encoder(path: str) -> CTCTextEncoder:
    """That of the run, since the weights of the last layer are of its tokens."""
    return load_text_encoder(run_dir_of(find_initial(path)) / "text_encoder")


def load_initial_weights(path: str, model: nn.Module, but: Sequence[str] = ()) -> None:
    """All weights `but` those of the layers named so, which stay as they are.

    Raises:
        UserError: `model` is of another architecture.
    """
    load_weights(find_initial(path), model, but)
