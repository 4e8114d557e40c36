"""A recording on its way through the server: decoded once, onto the disk.

What is held in memory does not grow with its length. The file has no name in the file system, so
that it goes with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from src.app.refusal import Cancelled, Refusal
from src.utils.audio import mono_blocks, open_audio
from src.utils.audio_stream import resampled
from src.utils.errors import UserError

PEAKS_A_SECOND = 50
BLOCK_SECONDS = 20
UNKNOWN_LENGTH = 0x7FFFF000  # and above: what programs write that do not know it yet


class Recording:
    """An `AudioSource` of one rate that can be written to at its end.

    Args:
        sample_rate: in Hz, of what is written and read.
        max_seconds: `write` raises `Refusal` beyond.

    Attributes: `warning`, a sentence on what was odd about its file, or None.
    """

    def __init__(self, sample_rate: int, max_seconds: float) -> None:
        self.sample_rate, self.max_seconds = sample_rate, max_seconds
        self.samples = 0
        self.warning: str | None = None
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate

    def write(self, samples: Tensor) -> None:
        """samples [n] in [-1, 1], float32."""
        self.samples += len(samples)
        if self.seconds > self.max_seconds:
            raise Refusal(413, f"The recording is longer than {_minutes(self.max_seconds)}.")
        self._file.seek(0, 2)
        self._file.write(samples.numpy().tobytes())

    def blocks(self, sample_rate: int) -> Iterator[Tensor]:
        """What was written, in blocks [n]."""
        assert sample_rate == self.sample_rate
        size = BLOCK_SECONDS * sample_rate * 4
        position = 0
        while True:
            self._file.seek(position)
            if not (block := self._file.read(size)):
                return
            position += len(block)
            yield torch.from_numpy(np.frombuffer(bytearray(block), np.float32))

    def peaks(self) -> list[float]:
        """The largest absolute value of each 1 / `PEAKS_A_SECOND` s, rounded to 2 digits."""
        span = self.sample_rate // PEAKS_A_SECOND
        peaks: list[float] = []
        for block in self.blocks(self.sample_rate):
            loud = torch.nn.functional.pad(block.abs(), (0, -len(block) % span))
            peaks += loud.view(-1, span).amax(dim=1).tolist()
        return [round(peak, 2) for peak in peaks]

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


@contextlib.contextmanager
def decoded(
    path: Path, sample_rate: int, max_seconds: float, cancelled: threading.Event
) -> Iterator[Recording]:
    """The upload at `path` as mono at `sample_rate` Hz. What it is, its content says alone.

    Raises:
        Refusal: no recording, a damaged one, or too long a one.
        Cancelled: once the event is set.
    """
    with Recording(sample_rate, max_seconds) as recording:
        announced = None
        try:
            with open_audio(path) as file:
                announced, read = file.frames, 0

                def counted() -> Iterator[Tensor]:
                    nonlocal read
                    for block in mono_blocks(file):
                        read += len(block)
                        yield block

                for block in resampled(counted(), file.samplerate, sample_rate):
                    if cancelled.is_set():
                        raise Cancelled
                    recording.write(block)
                seconds = read / file.samplerate
                recording.warning = _cut_short(announced, read, seconds, str(file.extra_info))
        except UserError as error:
            raise _refusal(path, error, is_recording=announced is not None) from None
        yield recording


def _cut_short(announced: int, read: int, seconds: float, log: str) -> str | None:
    """libsndfile reads a file as far as it goes, and says in its log what a header announced."""
    sizes = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    promised = sizes is not None and int(sizes[2]) < int(sizes[1]) < UNKNOWN_LENGTH
    if promised or read < announced < UNKNOWN_LENGTH or "lacks an end-of-stream" in log:
        return f"The file ends early: this is what is in its first {seconds:.1f} s."
    return None


def _refusal(path: Path, error: UserError, is_recording: bool) -> Refusal:
    if (size := path.stat().st_size) == 0:
        return Refusal(422, "The file is empty.")
    with path.open("rb") as file:
        kind = _other_kind(file.read(64))
    formats = "wav, flac, mp3, ogg or opus"
    if kind:
        return Refusal(415, f"This is {kind}, not a recording; send its sound as {formats}.")
    reason = str(error).replace(str(path), "The file").split(": remove it")[0].rstrip(".")
    if "cannot be read as audio" in reason:
        if is_recording:
            return Refusal(422, "The file is damaged, or ends early: it cannot be read to its end.")
        return Refusal(415, f"These {size} bytes are not a recording; send {formats}.")
    return Refusal(422, f"{reason}.")


def _other_kind(head: bytes) -> str | None:
    """What people send instead of a recording, known by its first bytes."""
    if head[4:8] == b"ftyp":
        return "an MP4 file"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "a WebM or Matroska file"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "an AVI file"
    if head[:4] == b"%PDF":
        return "a PDF"
    if head[:2] == b"PK":
        return "a zip archive"
    if head[:8] == b"\x89PNG\r\n\x1a\n" or head[:3] == b"\xff\xd8\xff":
        return "a picture"
    return None


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"
