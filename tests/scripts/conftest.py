from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from src.text_encoder import CTCTextEncoder
from src.trainer.checkpoint import save_checkpoint

ROOT = Path(__file__).parents[2]
SAID = {"1-2-0001": "SHE HAD FOUND A TICKET", "1-2-0002": "ELIZABETH WAS WORKING", "1-2-0003": "I"}


@pytest.fixture(scope="session")
def run_script(tmp_path_factory):
    """run_script("tune_lm.py", "saved/demo", ...) in a real process, with a cache of its own."""
    cache = tmp_path_factory.mktemp("cache")

    def run(script: str, *arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        )

    return run


@pytest.fixture
def run_main(monkeypatch, capfd, tmp_path):
    """run_main(module, ...) in this process, which saves the seconds of a new one's imports.

    Returns the exit code, what was printed and what was complained of.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(module, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", [module.__name__, *map(str, arguments)])
        try:
            module.main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="session")
def load_script():
    """load_script("tune_lm") is the script as a module."""

    def load(name: str):
        spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """A run folder of a small recogniser that has learnt nothing."""
    folder = tmp_path_factory.mktemp("saved") / "untrained"
    with initialize_config_dir(str(ROOT / "configs"), version_base=None):
        sizes = {"d_model": 16, "n_layers": 1, "n_heads": 2, "subsampling_channels": 4}
        config = compose("onebatchtest", [f"model.{name}={size}" for name, size in sizes.items()])
    torch.manual_seed(0)
    save_checkpoint(folder / "checkpoints" / "best", instantiate(config.model, vocab_size=29), {})
    CTCTextEncoder().save(folder / "text_encoder")
    OmegaConf.resolve(config)
    parts = OmegaConf.create({name: config[name] for name in ("model", "transforms")})
    OmegaConf.save(parts, folder / "config.yaml")
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Three recordings of noise in LibriSpeech's layout, and what they are said to say."""
    part = tmp_path_factory.mktemp("LibriSpeech") / "dev-noise"
    chapter = part / "1" / "2"
    chapter.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in SAID:
        soundfile.write(chapter / f"{name}.flac", generator.normal(0, 0.1, 20000), 16000)
    lines = [f"{name} {text}\n" for name, text in SAID.items()]
    (chapter / "1-2.trans.txt").write_text("".join(lines))
    return part
