"""A training run small enough to repeat: tones as letters, a model of a few thousand weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir

CONFIGS = str(Path(__file__).parents[2] / "configs")
PITCHES = {"a": 300, "b": 900, "c": 2000}


def write_tones(folder: Path, count: int = 24) -> Path:
    """Recordings whose text can be heard: each letter a tone of 0.2 s."""
    generator = torch.Generator().manual_seed(0)
    (folder / "audio").mkdir(parents=True)
    (folder / "texts").mkdir()
    time = torch.arange(3200) / 16000
    for n in range(count):
        letters = [
            "abc"[i] for i in torch.randint(3, (int(2 + n % 4),), generator=generator).tolist()
        ]
        tones = [0.3 * torch.sin(2 * math.pi * PITCHES[letter] * time) for letter in letters]
        soundfile.write(folder / "audio" / f"u{n:02}.wav", torch.cat(tones).numpy(), 16000)
        (folder / "texts" / f"u{n:02}.txt").write_text("".join(letters))
    return folder


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("tones") / "corpus")


@pytest.fixture(scope="session")
def tiny_overrides(tones):
    """tiny_overrides(save_dir, "run", "trainer.epochs=1", ...) -> overrides for the tones."""

    def overrides(save_dir: Path, run_name: str, *more: str) -> list[str]:
        split = (
            "{_target_: src.datasets.CustomDirAudioDataset, "
            f"audio_dir: {tones / 'audio'}, transcription_dir: {tones / 'texts'}}}"
        )
        return [
            "~datasets",
            f"+datasets={{train: {split}, val: {split}, test: {split}}}",
            f"save_dir={save_dir}",
            f"run_name={run_name}",
            *("model.d_model=16", "model.n_layers=1", "model.n_heads=2"),
            *("model.subsampling_channels=4", "model.dropout=0.1", "device=cpu"),
            *("transforms=spec", "dataloader.max_batch_seconds=4"),
            *("trainer.epochs=2", "trainer.epoch_len=6", "trainer.log_every=2"),
            *more,
        ]

    return overrides


@pytest.fixture
def compose_tiny(tiny_overrides, tmp_path):
    """compose_tiny("trainer.epochs=1", ...) -> a config over the tones, saved under tmp_path."""

    def compose_config(*overrides: str, run_name: str = "run", command: str = "onebatchtest"):
        with initialize_config_dir(CONFIGS, version_base=None):
            return compose(command, overrides=tiny_overrides(tmp_path, run_name, *overrides))

    return compose_config
