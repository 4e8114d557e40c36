"""What a client is told when it does not get a transcript."""

from __future__ import annotations


class Refusal(Exception):
    """One sentence for a person, and the HTTP status that says the same to a program.

    400 a bad parameter, 408 too slow, 410 no longer kept, 413 too large or too long, 415 no
    recording, 422 a damaged one, 503 too many at once.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cancelled(Exception):
    """Nobody waits for the answer any more."""
