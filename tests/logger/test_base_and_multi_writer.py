"""One interface: the null writer takes every call, and MultiWriter forwards every call."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from src.logger.base_writer import BaseWriter
from src.logger.cometml_writer import CometMLWriter
from src.logger.csv_writer import CSVWriter
from src.logger.multi_writer import MultiWriter
from src.logger.tensorboard_writer import TensorBoardWriter

CALLS: dict[str, tuple[Any, ...]] = {
    "set_step": (3, "dev"),
    "add_scalar": ("loss", 1.0),
    "add_scalars": ({"loss": 1.0},),
    "add_image": ("image", np.zeros((2, 2, 3), np.uint8)),
    "add_audio": ("audio", torch.zeros(10), 16000),
    "add_table": ("table", ["a"], [["b"]]),
    "truncate_after": (2, ["val"]),
    "flush": (),
    "close": (),
}


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.calls.append((name, *args))


def test_the_calls_above_are_the_whole_interface() -> None:
    assert {name for name in vars(BaseWriter) if not name.startswith("_")} == set(CALLS)


def test_null_writer_takes_every_call() -> None:
    for name, arguments in CALLS.items():
        assert getattr(BaseWriter(), name)(*arguments) is None


def test_multi_writer_forwards_every_call_unchanged_and_in_order() -> None:
    recorders = [Recorder(), Recorder()]
    writer = MultiWriter(recorders)
    for name, arguments in CALLS.items():
        getattr(writer, name)(*arguments)
    for recorder in recorders:
        assert len(recorder.calls) == len(CALLS)
        for (name, arguments), (called, *passed) in zip(CALLS.items(), recorder.calls):
            assert called == name
            assert all(a is b for a, b in zip(arguments, passed, strict=True))


@pytest.mark.parametrize("writer", [CSVWriter, TensorBoardWriter, CometMLWriter, MultiWriter])
@pytest.mark.parametrize("method", CALLS)
def test_every_writer_has_the_same_signatures(writer: type[BaseWriter], method: str) -> None:
    expected = inspect.signature(getattr(BaseWriter, method))
    assert inspect.signature(getattr(writer, method)) == expected
