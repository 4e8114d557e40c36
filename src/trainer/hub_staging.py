"""What of a run folder goes to the Hub: what inference needs and what was measured, no more.

config.yaml           without this machine's paths and the tracker's settings
text_encoder/         as it is
model.safetensors     of one checkpoint
manifest.json         its SHA-256 and step
summary.json          what was measured
README.md             the model card (model_card.py)

The training state, the logs, tables and audio, and local changes to the code stay here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePath
from typing import Any

import yaml
from omegaconf import OmegaConf

from src.trainer.checkpoint import MANIFEST, WEIGHTS, file_sha256, find_checkpoint, run_dir_of
from src.trainer.hub import ENCODER_FILES
from src.trainer.model_card import model_card
from src.trainer.pretrained import load_pretrained
from src.trainer.run_folder import CONFIG, read_run_config
from src.utils.errors import UserError

SUMMARY = "summary.json"
OWN_FOLDERS = {"data_dir": "data", "save_dir": "saved"}


def stage(
    run: str | Path,
    folder: Path,
    repo: str,
    license_name: str | None = None,
    summary: Path | None = None,
    revision: str | None = None,
) -> list[str]:
    """Writes into `folder`, which is empty or absent, all that is to be published of `run`.

    The result is loaded once as anyone would load it, so that what does not load is not published.

    Args:
        run: a run folder (its best checkpoint, else its last), or a checkpoint folder.
        repo, revision: `USER/REPO` and branch that the card's commands name.
        license_name: an identifier of the Hub's list, such as `cc-by-4.0`; None grants none.
        summary: what was measured, if not the run's own `summary.json`.

    Returns:
        The names of the files, relative to `folder`.

    Raises:
        UserError: no such run, no good checkpoint, an unreadable summary, `folder` is not empty.
    """
    checkpoint = find_checkpoint(run, prefer=("best", "last"))
    run_dir = run_dir_of(checkpoint)
    config: Any = OmegaConf.to_container(read_run_config(run_dir), resolve=True)
    measured = _read_summary(summary or run_dir / SUMMARY, must_exist=summary is not None)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not an empty folder; name another")

    (folder / "text_encoder").mkdir(parents=True)
    (folder / CONFIG).write_text(yaml.safe_dump(public_config(config), sort_keys=False))
    for name in ENCODER_FILES:
        if (run_dir / name).is_file():
            shutil.copyfile(run_dir / name, folder / name)
    shutil.copyfile(checkpoint / WEIGHTS, folder / WEIGHTS)
    step = _step(checkpoint)
    manifest = {"step": step, "sha256": {WEIGHTS: file_sha256(folder / WEIGHTS)}}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    if measured:
        (folder / SUMMARY).write_text(json.dumps(measured, indent=2) + "\n")

    model = load_pretrained(folder).model
    card = model_card(
        repo,
        license_name,
        public_config(config),
        measured,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        step=step,
        augmentations=[
            name
            for kind in ("wave_augmentations", "spec_augmentations")
            for name in config["transforms"].get(kind) or {}
        ],
        code=_code_version(run_dir),
        revision=revision,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def public_config(config: dict[str, Any]) -> dict[str, Any]:
    """A run's resolved config as others may see it.

    Paths below `data_dir` and `save_dir` begin with `data` and `saved`; of any other path of this
    machine the last part is left.
    """
    own = {str(config[name]): new for name, new in OWN_FOLDERS.items() if config.get(name)}
    public = _without_paths({name: config[name] for name in config if name != "writer"}, own)
    if "trainer" in public:
        public["trainer"].update(resume=None, resume_from=None)
    return public


def _without_paths(node: Any, own: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {name: _without_paths(value, own) for name, value in node.items()}
    if isinstance(node, list):
        return [_without_paths(value, own) for value in node]
    if not isinstance(node, str):
        return node
    path = PurePath(node)
    for folder, new in own.items():
        if path.is_relative_to(folder):
            return str(PurePath(new, path.relative_to(folder)))
    return path.name if path.is_absolute() or path.parts[:1] in (("~",), ("..",)) else node


def _read_summary(path: Path, must_exist: bool) -> dict[str, Any]:
    if not path.exists() and not must_exist:
        return {}
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(rates, dict) for rates in splits.values()):
            return splits
        reason = "not a summary"
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "not a summary"
    raise UserError(f"{path} cannot be read ({reason}); name a summary.json by --summary")


def _step(checkpoint: Path) -> int | None:
    """Averaged weights have no manifest."""
    try:
        return json.loads((checkpoint / MANIFEST).read_text())["step"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _code_version(run_dir: Path) -> str | None:
    """`<commit>`, or `<commit> with local changes`, of git.txt; the changes are nobody's matter."""
    try:
        lines = (run_dir / "git.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    if not lines or not lines[0].startswith("commit "):
        return None
    commit = lines[0].removeprefix("commit ")
    return commit if lines[-1] == "none" else f"{commit} with local changes"
