"""Augmentations by their configs, against the files themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from src.transforms import Draws
from src.transforms.from_config import build_transforms, every_augmentation
from src.transforms.one_draw import fix_one_draw

CONFIGS = Path(__file__).parents[2] / "configs" / "augmentation"
FILES = {path.stem: path.read_text() for path in CONFIGS.glob("*.yaml") if path.stem != "none"}
OF_FEATURES = {"spec_augment", "time_warp"}


def written_settings(name):
    """What the file sets, by YAML alone; interpolations are left out."""
    content = yaml.safe_load(FILES[name])
    if "transforms" in content:
        content = content["transforms"]["wave_augmentations"][name]
    return {
        setting: value
        for setting, value in content.items()
        if setting not in ("_target_", "probability") and "$" not in str(value)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips, [odd] 'name'")
    for name in "abc":
        soundfile.write(folder / f"{name}.wav", np.hanning(100), 16000)
    return folder


@pytest.fixture
def choices(folder):
    choices, left_out = every_augmentation(noise_dir=folder, rir_dir=folder)
    assert not left_out
    return choices


def test_every_file_is_there_at_probability_1_with_its_own_values(choices, folder):
    assert choices.keys() == FILES.keys()
    for name, choice in choices.items():
        assert choice.augmentation.probability == 1
        assert choice.of_features == (name in OF_FEATURES)
        rest = {key: choice.settings[key] for key in choice.settings if key not in ("pattern",)}
        needs = {"background_noise": "noise_dir", "reverberation": "rir_dir"}.get(name)
        assert choice.needs == needs
        assert rest == written_settings(name) | ({"folder": str(folder)} if needs else {})


def test_those_whose_folder_is_not_given_are_left_out(folder):
    choices, left_out = every_augmentation(rir_dir=folder)
    assert left_out == {"background_noise": "noise_dir"}
    assert choices.keys() == FILES.keys() - left_out.keys()


def test_transforms_are_those_of_the_command_line(folder):
    names = ["wave_augmentations", "spec_augmentations"]
    transforms = build_transforms(
        *("transforms=spec", "augmentation=[gain,background_noise]"), noise_dir=folder, rir_dir=None
    )
    built = [list(getattr(transforms, name)) for name in names]
    assert built == [["background_noise", "gain"], ["spec_augment"]]
    assert transforms.wave_augmentations["gain"].probability == 0.5


def test_one_draw_is_named_and_is_the_only_one_left(choices):
    words = {}
    for name, choice in choices.items():
        draws = Draws.of(0, 0, ["a"]).fork(name)
        words[name] = ", ".join(fix_one_draw(choice.augmentation, choice.settings, draws))
    low, high = choices["gain"].augmentation.decibels
    assert low == high
    assert -12 <= low <= 6
    assert words["gain"] == f"decibels {low:.3g} (of -12 to 6)"
    audio = torch.ones(8, 100)
    louder = choices["gain"].augmentation(
        audio, torch.full((8,), 100), Draws.of(5, 1, list("abcdefgh"))
    )
    torch.testing.assert_close(louder, audio * 10 ** (low / 20))
    assert words["high_pass"].endswith("order 2")
    assert " Hz (of 50 to 500)" in words["high_pass"]
    [shift] = choices["pitch_shift"].augmentation.semitones
    assert words["pitch_shift"] == f"semitones {shift} (of -2, -1, 1, 2)"
    [clip] = choices["background_noise"].augmentation.clips.paths
    assert words["background_noise"].startswith(f"{clip.name}, snr ")
    [room] = choices["reverberation"].augmentation.paths
    assert words["reverberation"] == f"{room.name}, max_seconds 1 s"
    assert words["telephone"] == ""
    assert words["time_warp"] == "max_shift 10 frames"
