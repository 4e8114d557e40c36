"""Names of logged things as file names."""

from __future__ import annotations

import re


def file_name(*parts: object) -> str:
    """Join with `_`; every character that is awkward in a path becomes `-`.

    >>> file_name("dev-clean", "wer/argmax", 100)
    'dev-clean_wer-argmax_100'
    """
    return "_".join(re.sub(r"[^\w.+-]+", "-", str(part)) for part in parts)
