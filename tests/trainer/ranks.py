"""Real processes with the environment that `torchrun` gives, which form a gloo group."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch

from src.trainer.distributed import process_group

# one server imports everything once; the ranks are its children and start in no time
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.trainer.ranks", "src.trainer.build", "torch._dynamo"])


def on_ranks(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `function(*arguments)` returns on each of `count` ranks of a group."""
    return in_processes(count, _in_group, function, *arguments)


def in_processes(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `function(*arguments)` returns in each of `count` processes that may form a group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ProcessPoolExecutor(count, mp_context=_context) as pool:
        calls = [
            pool.submit(_as_rank, rank, count, port, function, arguments) for rank in range(count)
        ]
        return [call.result(timeout=120) for call in calls]


def _as_rank(
    rank: int, count: int, port: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return function(*arguments)


def _in_group(function: Callable[..., Any], *arguments: Any) -> Any:
    with process_group("cpu"):
        return function(*arguments)
