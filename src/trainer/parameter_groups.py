"""Which parameters weight decay and the learning rate reach, and how far.

optimizer=adamw_groups optimizer.layer_decay=0.9
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from torch.nn import Parameter
from torch.optim import AdamW

Named = Iterable[tuple[str, Parameter]]


def adamw(named_parameters: Named, layer_decay: float = 1.0, **options: Any) -> AdamW:
    """AdamW over `parameter_groups`; `options` are torch's."""
    return AdamW(parameter_groups(named_parameters, options["lr"], layer_decay), **options)


def parameter_groups(
    named_parameters: Named, lr: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Groups for any torch optimizer, the full learning rate first.

    Biases and the gains of norms, the parameters of one dimension, have no weight decay: they
    do not over-fit, and pulling a gain to zero is no prior. Layer k of L blocks learns with
    lr x layer_decay^(L + 1 - k) (ULMFiT, arXiv 1801.06146; BEiT's form), the subsampling being
    layer 0, the head and all else L + 1.
    """
    named = list(named_parameters)
    blocks = 1 + max((_block(name) for name, _ in named), default=-1)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in named:
        layer, decays = _layer(name, blocks), parameter.ndim > 1
        group = {"params": [], "lr": lr * layer_decay ** (blocks + 1 - layer)}
        if not decays:
            group["weight_decay"] = 0.0
        key = (layer if layer_decay != 1 else 0, decays)
        groups.setdefault(key, group)["params"].append((name, parameter))
    return [groups[key] for key in sorted(groups, reverse=True)]


def _block(name: str) -> int:
    """The number in `blocks.3.attention...`; -1 outside the blocks."""
    found = re.search(r"\bblocks\.(\d+)\.", name)
    return int(found[1]) if found else -1


def _layer(name: str, blocks: int) -> int:
    if "subsampling." in name:
        return 0
    return _block(name) + 1 or blocks + 1
