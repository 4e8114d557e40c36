"""`--help` and the commands that README.md and the configs show are true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.trainer.config_checks import check_training

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"


def composed(name, *overrides):
    with initialize_config_dir(str(CONFIGS), version_base=None):
        return compose(name, list(overrides))


def has(config, name):
    """Whether there is a setting `name`, such as `trainer.epochs`, with a value or to be given."""
    node = OmegaConf.to_container(config)
    for key in name.split("."):
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


@pytest.fixture(params=["train", "inference", "app"])
def script_and_help(request):
    command = [sys.executable, ROOT / f"{request.param}.py", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return request.param, done.stdout


def test_help_fits_a_terminal_and_names_what_there_is(script_and_help):
    script, printed = script_and_help
    assert max(map(len, printed.splitlines())) <= 80
    configs = [composed("baseline")]
    if script == "inference":
        configs = [composed("inference", f"metrics={name}") for name in ("beam", "beam_lm")]
    for name in set(re.findall(r"([a-z_]+\.[a-z_.]+)=", printed)):
        assert any(has(config, name) for config in configs), name


def test_help_of_training_names_every_choice():
    printed = (CONFIGS / "hydra" / "help" / "train.yaml").read_text()
    sections = re.split(r"^    (?=\w+(?:, \w+)*  )", printed, flags=re.MULTILINE)
    for group in (path for path in CONFIGS.iterdir() if path.is_dir() and path.name != "hydra"):
        [section] = [text for text in sections if re.match(rf"(\w+, )?{group.name}\b", text)]
        for choice in group.glob("*.yaml"):
            assert re.search(rf"\b{choice.stem}\b", section), f"{group.name}={choice.stem}"
    for command in {path.stem for path in CONFIGS.glob("*.yaml")} - {"run", "inference", "app"}:
        assert re.search(rf"^    {command}  ", printed, re.MULTILINE), command


def shown_commands() -> list[str]:
    """`train.py ...` and `inference.py ...` as README.md and the configs' headers show them."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    headers = [
        re.sub(r"^# ?", "", path.read_text(), flags=re.MULTILINE)
        for path in sorted(CONFIGS.rglob("*.yaml"))
    ]
    text = "\n".join([*blocks, *headers]).replace("\\\n", " ")
    found = re.findall(r"^ *(?:python|torchrun.*?) ((?:train|inference)\.py.*)", text, re.MULTILINE)
    commands = dict.fromkeys(re.split(r"  +(?=#)", line)[0].strip() for line in found)
    # several jobs (-m) need launchers and sweepers: tests/end_to_end/test_multirun.py
    return [command for command in commands if " -m " not in command]


def recordings(folder: Path) -> str:
    soundfile.write(folder / "clip.wav", np.ones(100), 16000)
    return str(folder)


@pytest.mark.parametrize("command", shown_commands())
def test_the_commands_that_the_texts_show_compose(command, tmp_path):
    script, *arguments = [word for word in shlex.split(command) if word != "..."]
    name, overrides = "baseline" if script == "train.py" else "inference", []
    for argument in arguments:
        if argument.startswith("-cn="):
            name = argument.removeprefix("-cn=")
        else:
            overrides.append(argument)
    config = composed(name, *overrides)
    if script == "train.py":
        for folder in {"noise_dir", "rir_dir"} & config.keys():
            config[folder] = recordings(tmp_path)
        config.metrics = {"argmax": config.metrics.argmax}  # LM.arpa is not here
        config.run_name, config.device, config.trainer.init_from = "x", "cpu", None
        check_training(config)
