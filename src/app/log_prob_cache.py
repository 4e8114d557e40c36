"""Log-probabilities of the last recordings, so that another decoder can be tried at once."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from torch import Tensor

from src.app.refusal import Refusal


@dataclass(frozen=True)
class Heard:
    """Pieces [n, V] that follow on each other, of a recording of `seconds`."""

    pieces: list[Tensor]
    seconds: float
    kept_at: float = field(default_factory=time.monotonic)

    @property
    def bytes(self) -> int:
        return sum(piece.nbytes for piece in self.pieces)


class LogProbCache:
    """Behind tokens that cannot be guessed; the oldest go first, all go with time.

    Args:
        max_bytes: of all together; what is larger alone is not kept.
        max_age: in seconds.
    """

    def __init__(self, max_bytes: int, max_age: float) -> None:
        self.max_bytes, self.max_age = max_bytes, max_age
        self._held: OrderedDict[str, Heard] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, heard: Heard) -> str | None:
        """Its token; None where it is too large to be kept."""
        if heard.bytes > self.max_bytes:
            return None
        token = secrets.token_urlsafe(18)
        with self._lock:
            self._held[token] = heard
            self._forget()
        return token

    def get(self, token: str) -> Heard:
        """Raises `Refusal` (410) for one that is not, or no longer, kept."""
        with self._lock:
            self._forget()
            if token not in self._held:
                raise Refusal(410, "The recording is no longer kept here; send it again.")
            return self._held[token]

    @property
    def bytes(self) -> int:
        return sum(heard.bytes for heard in self._held.values())

    def _forget(self) -> None:
        now = time.monotonic()
        while self._held:
            oldest = next(iter(self._held.values()))
            if now - oldest.kept_at <= self.max_age and self.bytes <= self.max_bytes:
                return
            self._held.popitem(last=False)
