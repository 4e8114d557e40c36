"""Augmentations as `configs/augmentation` describes them, for scripts that show or measure them.

choices, left_out = every_augmentation(noise_dir="noise")  # left_out: {"reverberation": "rir_dir"}
transforms = build_transforms("transforms=wave", "augmentation=[time_warp]")
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from src.transforms.augmentation import STAGES, Augmentation
from src.transforms.pipeline import Transforms

CONFIGS = Path(__file__).parents[2] / "configs"
Folder = str | Path | None
Folders = Mapping[str, Folder]


class Choice(NamedTuple):
    """One augmentation, and what its config sets beside class and probability.

    Attributes:
        of_features: it changes features, not waveforms.
        needs: the setting that must be given with it: a folder.
    """

    augmentation: Augmentation
    settings: dict[str, Any]
    of_features: bool
    needs: str | None


def build_transforms(*overrides: str, **folders: Folder) -> Transforms:
    """What `train.py` builds for these overrides; `folders` as for `every_augmentation`.

    Raises:
        UserError: a folder without recordings.
    """
    config = _compose(overrides)
    _give(config, folders)
    return instantiate(config.transforms)


def every_augmentation(**folders: Folder) -> tuple[dict[str, Choice], dict[str, str]]:
    """Every augmentation that there is, at probability 1, by name.

    Args:
        folders: settings that some augmentations need: `noise_dir`, `rir_dir`.

    Returns:
        The augmentations, in the order in which sound meets them, and those left out with the
        setting that each lacks.

    Raises:
        UserError: a folder without recordings.
    """
    names = sorted({path.stem for path in (CONFIGS / "augmentation").glob("*.yaml")} - {"none"})
    config = _compose(["transforms=none", f"augmentation=[{','.join(names)}]"])
    of_features = config.transforms.spec_augmentations
    nodes = {**config.transforms.wave_augmentations, **of_features}
    needs = {name: _needs(node, config) for name, node in nodes.items()}
    _give(config, folders)

    choices: dict[str, Choice] = {}
    left_out: dict[str, str] = {}
    for name, node in nodes.items():
        setting = needs[name]
        if setting is not None and folders.get(setting) is None:
            left_out[name] = setting
            continue
        settings: Any = OmegaConf.to_container(node, resolve=True)
        for other in ("_target_", "probability"):
            settings.pop(other, None)
        augmentation = instantiate(node, probability=1.0)
        choices[name] = Choice(augmentation, settings, name in of_features, setting)
    in_order = sorted(choices, key=lambda name: STAGES.index(choices[name].augmentation.stage))
    return {name: choices[name] for name in in_order}, left_out


def _compose(overrides: Iterable[str]) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        return compose("baseline", overrides=["run_name=none", *overrides])


def _give(config: DictConfig, folders: Folders) -> None:
    given = {setting: str(folder) for setting, folder in folders.items() if folder is not None}
    with open_dict(config):
        config.update(given)


def _needs(node: DictConfig, config: DictConfig) -> str | None:
    """The setting that this augmentation refers to and that must be given."""
    unresolved: Any = OmegaConf.to_container(node, resolve=False)
    for value in unresolved.values():
        setting = re.fullmatch(r"\$\{(\w+)\}", str(value))
        if setting and OmegaConf.is_missing(config, setting[1]):
            return setting[1]
    return None
