from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from src.utils.errors import UserError
from src.utils.signatures import check_arguments


class Base:
    def __init__(self, size: int, limit: int | None = None) -> None: ...


class Derived(Base):
    def __init__(self, folder: str | Path, **options: Any) -> None: ...


def takes(
    whole: int = 0,
    real: float = 0.0,
    text: str = "",
    flag: bool = False,
    maybe: float | None = None,
    tensor: float | torch.Tensor = 0.0,
    choice: Literal["a", "b"] = "a",
    numbers: Sequence[float] = (),
    pairs: Sequence[tuple[float, float]] = (),
    table: Mapping[str, float] | None = None,
    anything: Any = None,
    module: torch.nn.Module | None = None,
    unannotated=None,
) -> None: ...


@pytest.mark.parametrize(
    "arguments",
    [
        {"whole": 3, "real": 3, "text": "3", "flag": True, "maybe": None, "tensor": 1e-3},
        {"choice": "b", "numbers": [1, 2.5], "pairs": [[0, 1.0]], "table": {"a": 1.0}},
        {"anything": {"a": [1]}, "unannotated": "x", "module": {"_target_": "torch.nn.ReLU"}},
        {"whole": "???", "_partial_": True},
    ],
)
def test_what_fits_is_accepted(arguments):
    check_arguments(takes, arguments, "part")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("whole", 3.0, "part.whole=3.0 is not a whole number"),
        ("whole", True, "part.whole=true is not a whole number"),
        ("whole", None, "part.whole=null is not a whole number"),
        ("real", "1e-3x", "is not a number"),
        ("text", 3, "part.text=3 is not text"),
        ("flag", 1, "is not true or false"),
        ("maybe", "none", "is not a number or null"),
        ("tensor", "x", "part.tensor=x is not a number"),
        ("choice", "c", "is not one of a, b"),
        ("numbers", 1, "is not a list (each a number)"),
        ("numbers", [1, "x"], "is not a list (each a number)"),
        ("pairs", [1], "is not a list (each a list"),
        ("table", [1], "is not a mapping or null"),
        ("module", 3, "is not null"),
    ],
)
def test_what_does_not_fit_is_said_in_words(name, value, words):
    with pytest.raises(UserError) as refused:
        check_arguments(takes, {name: value}, "part")
    assert words in str(refused.value)


def test_options_of_a_class_are_its_base_classes():
    check_arguments(Derived, {"folder": "x", "size": 3, "limit": None}, "part")
    with pytest.raises(UserError, match=r"part\.limits; did you mean part\.limit\?"):
        check_arguments(Derived, {"limits": 3}, "part")
    with pytest.raises(UserError, match=r"part\.limit=x is not a whole number or null"):
        check_arguments(Derived, {"limit": "x"}, "part")
