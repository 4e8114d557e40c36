"""A run folder may come from anyone: its config builds this repository's modules, nothing else."""

from __future__ import annotations

from typing import Any

from torch import nn

from src.utils.errors import UserError
from src.utils.signatures import find_target


def refuse_foreign_targets(node: Any, where: object) -> None:
    """Checks every `_target_` in plain dicts and lists, as they are written.

    It must be a torch module defined in `src`. The prefix alone would not do: a module's imports
    can be reached through it (`src.utils.git_snapshot.subprocess.run`), and a function of ours may
    write files. Interpolations, which a run's config has none of, could put together a target
    after the check.

    Args:
        where: the config's path, for the message.

    Raises:
        UserError: a target is something else, or there is an interpolation.
    """
    if isinstance(node, str) and "${" in node:
        raise UserError(f"{where} has an interpolation, {node}; a run's config is resolved")
    if isinstance(node, dict):
        if "_target_" in node and not _is_own_module(node["_target_"]):
            raise UserError(
                f"{where} asks for {node['_target_']}, which is not part of this repository; a "
                "run folder may name modules of src only"
            )
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            refuse_foreign_targets(child, where)


def _is_own_module(target: Any) -> bool:
    if not isinstance(target, str) or not target.startswith("src."):
        return False
    try:
        found = find_target(target, "")
    except UserError:  # there is no such thing, or it cannot be imported
        return False
    is_module = isinstance(found, type) and issubclass(found, nn.Module)
    return is_module and found.__module__.startswith("src.")
