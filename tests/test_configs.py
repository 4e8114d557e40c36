"""Every file in configs/ composes, and all that it names is built, small.

A new file is tested without a word here: the tests ask the folder what there is.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from src.app.decoders import Decoders
from src.app.settings import Settings
from src.text_encoder import CTCTextEncoder, PhonemeCTCTextEncoder
from src.trainer.build import build_datasets, build_trainer
from src.trainer.config_checks import ONE_WORD_LM, check_inference, check_training

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
FILES = sorted(path.relative_to(CONFIGS).with_suffix("") for path in CONFIGS.rglob("*.yaml"))
COMMANDS = [file.name for file in FILES if len(file.parts) == 1 and file.name != "run"]
CHOICES = [file for file in FILES if len(file.parts) > 1]
FOLDERS = {"background_noise": "noise_dir", "reverberation": "rir_dir"}
FOR_INFERENCE = ("inference", "datasets/folder", "datasets/librispeech_test")
TEXTS = ("the quick brown fox jumps over", "the lazy dog and my vexed", "wizard isn't pleased")
TINY = {
    "model": {"d_model": 16, "n_heads": 2, "kernel_size": 3, "subsampling_channels": 4},
    "dataloader": {"num_workers": 0},
    "text_encoder": {"vocab_size": 30},
    "trainer": {"epoch_len": 20},
}


def composed(name, *overrides):
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose(name, overrides=list(overrides))
    OmegaConf.set_struct(config, True)
    return config


def composed_with(file, tmp_path):
    """The config of a command that uses `file`, and whether it is one of `inference.py`."""
    group, choice = file.parent.as_posix(), file.name
    inference = file.as_posix() in FOR_INFERENCE
    arpa = tmp_path / "lm.arpa"
    arpa.write_text(ONE_WORD_LM.lstrip())
    overrides = ["device=cpu", f"lm={arpa}", *([] if inference else ["run_name=x"])]
    if group == "decoder":
        overrides.append(f"+decoder@metrics.other={choice}")
    elif group != ".":
        overrides.append(f"{group}={choice}")
    if choice in FOLDERS:
        soundfile.write(tmp_path / "clip.wav", torch.ones(100).numpy(), 16000)
        overrides.append(f"{FOLDERS[choice]}={tmp_path}")
    is_command = group == "." and choice != "run"
    command = choice if is_command else "inference" if inference else "baseline"
    return composed(command, *overrides), inference


def give_tiny_data(datasets, folder):
    """Puts a few recordings where each split looks for its own."""
    audio = torch.randn(3, 2 * 16000, generator=torch.Generator().manual_seed(0)) / 10
    for name, split in datasets.items():
        if split is None:
            continue
        place = folder / str(name)
        if "parts" in split:
            give_tiny_data(split.parts, place)
        elif "part" in split:
            split.root = str(place)
            for part in split.part.split("+"):
                chapter = place / part / "1" / "2"
                chapter.mkdir(parents=True)
                names = [f"1-2-{part}{n}" for n in range(3)]
                lines = [f"{name} {text.upper()}\n" for name, text in zip(names, TEXTS)]
                (chapter / "1-2.trans.txt").write_text("".join(lines))
                for utterance, samples in zip(names, audio):
                    soundfile.write(chapter / f"{utterance}.flac", samples.numpy(), 16000)
        elif "size" in split:
            split.size = 3
            if "text" in split:
                place.mkdir(parents=True)
                split.text = str(place / "text.txt")
                Path(split.text).write_text("one two three four\n" * 3)
        else:
            place.mkdir(parents=True)
            for n, samples in enumerate(audio):
                soundfile.write(place / f"{n}.wav", samples.numpy(), 16000)
            if split._target_.endswith("CustomDirAudioDataset"):
                split.audio_dir = str(place)
            else:
                rows = [
                    {"audio_filepath": f"{n}.wav", "text": text} for n, text in enumerate(TEXTS)
                ]
                split.path = str(place / "manifest.jsonl")
                Path(split.path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def shrink(config):
    config.model.n_layers = 1 + max(config.model.intermediate_layers, default=0)
    for part, sizes in TINY.items():
        for name, size in sizes.items():
            if name in config[part]:
                config[part][name] = size


BUILT = [file for file in FILES if file.parts[0] not in ("hydra", "app")]


@pytest.mark.parametrize("file", BUILT, ids=str)
def test_every_file_composes_and_what_it_names_is_built(file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("COMET_API_KEY", raising=False)  # an archive on the disk
    config, inference = composed_with(file, tmp_path)
    give_tiny_data(config.datasets, tmp_path / "data")
    if inference:
        config.inferencer.from_pretrained = "x"
        check_inference(config)
        assert all(len(split) == 3 for split in build_datasets(config).values())
        return
    check_training(config)  # builds the parts as large as they are
    shrink(config)
    (tmp_path / "run").mkdir()
    trainer = build_trainer(config, tmp_path / "run")
    assert trainer.total_steps == 20 * config.trainer.epochs
    assert set(trainer.loaders) >= {"train", "val"}
    assert list(trainer.metrics.decoders) == list(config.metrics)
    trainer.writer.close()


def test_the_page_s_settings_are_taken_and_its_decoders_are_built(tmp_path):
    arpa = tmp_path / "lm.arpa"
    arpa.write_text(ONE_WORD_LM.lstrip())
    settings = Settings.of(composed("app", f"save_dir={tmp_path}"))
    assert settings.from_pretrained == "models/librispeech_12h"  # no demo was made there
    (tmp_path / "demo").mkdir()
    assert Settings.of(composed("app", f"save_dir={tmp_path}")).from_pretrained == str(
        tmp_path / "demo"
    )
    assert settings.host == "127.0.0.1"  # nobody else, unless told otherwise
    decoders = Decoders(settings.decoders, arpa, CTCTextEncoder(), 0.04)
    assert list(decoders.usual) == ["argmax", "beam_search", "beam_search_lm"]
    decoders.warm_up()
    encoder = PhonemeCTCTextEncoder()
    encoder.count(["hi"])
    phonemes = Decoders(settings.decoders, arpa, encoder, 0.04)
    assert list(phonemes.usual) == ["argmax", "beam_search", "beam_search_closed"]
    phonemes.warm_up()


@pytest.mark.parametrize("file", [file for file in FILES if file.parts[0] == "hydra"], ids=str)
def test_every_choice_for_hydra_composes(file):
    with initialize_config_dir(str(CONFIGS), version_base=None):
        compose("baseline", [f"{file.parent.as_posix()}={file.name}"], return_hydra_config=True)


def test_every_command_sets_every_group():
    optional = {"augmentation", "decoder", "experiment", "hydra"}
    groups = {file.parts[0] for file in CHOICES} - optional
    for command in set(COMMANDS) - {"inference", "app"}:
        assert composed(command, "run_name=x").keys() >= groups


@pytest.mark.parametrize("choice", [file.name for file in FILES if file.parts[0] == "lr_scheduler"])
def test_every_schedule_takes_a_step(choice):
    config = composed("baseline", f"lr_scheduler={choice}", "run_name=x")
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = instantiate(config.optimizer, _partial_=True)([parameter])
    schedule = instantiate(config.lr_scheduler, _partial_=True)(optimizer, total_steps=20)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        parameter.sum().backward()
        optimizer.step()
        schedule.step()
    assert 0 < rates[0] < max(rates) <= config.optimizer.lr * (1 + 1e-9)


def test_one_setting_says_where_data_lives():
    config = composed("baseline", "data_dir=/elsewhere", "run_name=x")
    roots = [split.root for split in config.datasets.values()]
    assert len(roots) == 4
    assert set(roots) == {"/elsewhere/LibriSpeech"}


def test_test_parts_never_select_a_model():
    config = composed("baseline", "run_name=x")
    assert config.datasets.train.part == "train-clean-100"
    assert config.datasets.val.part == "dev-clean"
    assert config.trainer.monitor == "argmax/wer"
