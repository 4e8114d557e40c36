"""A training run small enough to repeat: tones as letters, a model of a few thousand weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors.torch import save_file

from src.text_encoder import CTCTextEncoder
from src.trainer.checkpoint import contiguous_weights

CONFIGS = str(Path(__file__).parents[2] / "configs")
TINY_MODEL = [
    *("model.d_model=16", "model.n_layers=1", "model.n_heads=2", "model.kernel_size=3"),
    *("model.subsampling_channels=4", "device=cpu", "run_name=x"),
]
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


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A checkpoint of a tiny model that has learnt nothing: it says much, of any recording."""
    run_dir = tmp_path_factory.mktemp("untrained") / "run"
    checkpoint = run_dir / "checkpoints" / "last"
    checkpoint.mkdir(parents=True)
    with initialize_config_dir(CONFIGS, version_base=None):
        config = compose("onebatchtest", overrides=TINY_MODEL)
    text_encoder = CTCTextEncoder("abc' ")
    text_encoder.save(run_dir / "text_encoder")
    torch.manual_seed(1)
    model = instantiate(config.model, vocab_size=len(text_encoder))
    with torch.no_grad():
        model.head.weight *= 30  # sure of itself
    save_file(contiguous_weights(model), checkpoint / "model.safetensors")
    (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    return checkpoint
