"""Two differently augmented views of each utterance in one batch, for CR-CTC."""

from __future__ import annotations

from typing import Any

import torch

from src.transforms import Transforms
from src.utils.errors import UserError


def two_views(batch: dict[str, Any], transforms: Transforms) -> dict[str, Any]:
    """The batch with `features`, `feature_length` and tokens of 2B rows, and `views` = 2.

    Rows b and B + b are utterance b, augmented twice. What else is in the batch stays as it is.

    Raises:
        UserError: the views differ in length, so that their frames cannot be compared.
    """
    first, second = (transforms(**batch, view=view) for view in (0, 1))
    if first["features"].shape != second["features"].shape:
        raise UserError(
            "two views of a batch differ in length, which consistency regularisation compares "
            "frame by frame; use transforms that keep an utterance's length, or loss=ctc"
        )
    doubled = {name: torch.cat([first[name], second[name]]) for name in first}
    for name in ("tokens", "token_length"):
        doubled[name] = torch.cat([batch[name], batch[name]])
    return {**batch, **doubled, "views": 2}
