"""Whether what a config gives to a function fits its signature: names and plain types.

check_arguments(LogMel, {"n_mel": 80}, "transforms.log_mel")
# UserError: there is no setting transforms.log_mel.n_mel; did you mean transforms.log_mel.n_mels?
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from src.utils.config_errors import did_you_mean
from src.utils.errors import UserError

MISSING = "???"  # OmegaConf's mark of a value that must be given
WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}
LISTS = (list, tuple, Sequence, Iterable, Collection)


def find_target(target: str, path: str) -> Callable[..., Any]:
    """What `path._target_` names; raises a UserError where there is no such thing."""
    try:
        found = locate(target)
    except ErrorDuringImport as error:
        raise UserError(f"{path}._target_={target} cannot be imported: {error}") from error
    if not callable(found):
        raise UserError(f"there is no {target}, which {path}._target_ names")
    return found


def check_targets(config: Any, path: str) -> None:
    """Checks the arguments of every `_target_` in a config of plain dicts and lists."""
    if isinstance(config, dict):
        if target := config.get("_target_"):
            check_arguments(find_target(target, path), config, path)
        for key, value in config.items():
            check_targets(value, f"{path}.{key}")
    elif isinstance(config, list):
        for position, value in enumerate(config):
            check_targets(value, f"{path}.{position}")


def check_arguments(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    path: str = "",
    also: Collection[str] = (),
) -> None:
    """Refuses names that `function` does not take and values that its annotations exclude.

    Options that a class takes as `**options` are its base class's. Names that begin with an
    underscore are Hydra's; those in `also` are someone else's.

    Raises:
        UserError: naming `path.argument`, and the nearest right name or what the value may be.
    """
    annotations, takes_any = _annotations(function)
    prefix = f"{path}." if path else ""
    for name, value in arguments.items():
        if name.startswith("_") or name in also:
            continue
        if name not in annotations:
            if takes_any:
                continue
            near = did_you_mean(prefix + name, [prefix + known for known in (*annotations, *also)])
            raise UserError(f"there is no setting {prefix}{name}{near}")
        if not _fits(value, annotations[name]):
            raise UserError(f"{prefix}{name}={_shown(value)} is not {_in_words(annotations[name])}")


def _annotations(function: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """Each parameter's annotation, and whether there are others that cannot be known."""
    inits: list[Any] = [function]
    if inspect.isclass(function):
        inits = [vars(base)["__init__"] for base in function.__mro__ if "__init__" in vars(base)]
    found: dict[str, Any] = {}
    for init in inits:
        parameters = inspect.signature(init).parameters.values()
        hints = get_type_hints(init)
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, hints.get(parameter.name, Any))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return found, False
    return found, True


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value may stand for `annotation`; True where a config cannot tell."""
    kind, options = get_origin(annotation) or annotation, get_args(annotation)
    if value == MISSING or (isinstance(value, dict) and "_target_" in value):
        return True
    if kind in (Union, types.UnionType):
        return any(_fits(value, option) for option in options)
    if kind is Literal:
        return value in options
    if kind in LISTS:
        items = Any if kind is tuple or not options else options[0]
        return isinstance(value, list) and all(_fits(item, items) for item in value)
    if kind in (dict, Mapping):
        return isinstance(value, dict)
    if kind in (int, float):
        numbers = int if kind is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    if kind in (str, Path):
        return isinstance(value, str)
    if kind in (bool, type(None)):
        return isinstance(value, kind)
    return kind in (Any, object) or not inspect.isclass(kind)  # no plain value is a Tensor


def _in_words(annotation: Any) -> str:
    kind, options = get_origin(annotation) or annotation, get_args(annotation)
    if kind in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_in_words(option) for option in options if _known(option)))
    if kind is Literal:
        return f"one of {', '.join(map(str, options))}"
    if kind in LISTS:
        items = [_in_words(option) for option in options[:1] if _known(option)]
        return f"a list (each {items[0]})" if items else "a list"
    return WORDS.get(dict if kind is Mapping else kind, str(annotation))


def _shown(value: Any) -> str:
    """As it would be typed."""
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def _known(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return kind in WORDS or kind in LISTS or kind in (Literal, Mapping, Union, types.UnionType)
