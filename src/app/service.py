"""What the server does, without the web: recordings in, records out."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from src.app.about import about
from src.app.decoders import Choice, Decoders, language_model
from src.app.listener import Listener
from src.app.log_prob_cache import Heard, LogProbCache
from src.app.recording import Recording, decoded
from src.app.refusal import Refusal
from src.app.settings import Settings
from src.decoding import Hypothesis
from src.trainer.device import choose_device
from src.trainer.pretrained import Pretrained, load_pretrained
from src.trainer.recognizer import Recognizer
from src.trainer.transcript import Record, Transcript
from src.utils.cores import available_cores

logger = logging.getLogger(__name__)


class Places:
    """So many at once; one more is told to come again."""

    def __init__(self, count: int, what: str) -> None:
        self.count, self.what, self.taken = count, what, 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Raises `Refusal` (503)."""
        with self._lock:
            if self.taken >= self.count:
                raise Refusal(503, f"{self.count} {self.what} are under way: try again soon.")
            self.taken += 1
        try:
            yield
        finally:
            with self._lock:
                self.taken -= 1


class Service:
    """A model, its decoders and what is kept of the last recordings.

    Raises:
        UserError: no such run, decoder or language model.
    """

    def __init__(self, settings: Settings, pretrained: Pretrained, lm: Path | None) -> None:
        self.settings, self.pretrained = settings, pretrained
        frame_seconds, encoder = pretrained.frame_seconds, pretrained.text_encoder
        self.decoders = Decoders(settings.decoders, lm, encoder, frame_seconds)
        self.listener = Listener(pretrained, settings)
        self.cache = LogProbCache(int(settings.keep_mb * 1e6), settings.keep_seconds)
        self.requests = Places(settings.max_requests, "recordings")
        self.streams = Places(settings.max_streams, "microphones")
        self.answered = 0
        self._reading = threading.Semaphore(available_cores())

    @classmethod
    def of(cls, settings: Settings) -> Service:
        """Loaded, and warm."""
        pretrained = load_pretrained(settings.from_pretrained, choose_device(settings.device))
        lm = language_model(settings.lm, pretrained, settings.data_dir)
        service = cls(settings, pretrained, lm)
        logger.info("building %s", ", ".join(service.decoders.usual))
        service.decoders.warm_up()
        with Recording(service.listener.sample_rate, 60.0) as second:
            second.write(torch.zeros(service.listener.sample_rate))
            service.transcribe(second, service.decoders.choice(None, None, None))
        service.answered = 0
        return service

    def about(self) -> Record:
        """Of the model, of what may be chosen, of what is refused, and of what was done so far."""
        settings, batcher = self.settings, self.listener.batcher
        lm = self.decoders.lm
        return {
            **about(self.pretrained, settings.from_pretrained),
            "decoders": [
                {"name": choice.name, "alpha": choice.alpha, "beta": choice.beta}
                for choice in self.decoders.usual.values()
            ],
            "lm": lm.name if lm else None,
            "limits": {"mb": settings.max_upload_mb, "seconds": settings.max_seconds},
            "served": {
                "answered": self.answered,
                "under_way": self.requests.taken,
                "streams": self.streams.taken,
                "windows": batcher.jobs,
                "batches": batcher.batches,
                "largest_batch": batcher.largest,
                "kept_bytes": self.cache.bytes,
            },
        }

    def upload(self, path: Path, choice: Choice, cancelled: threading.Event) -> Record:
        """What is said in the file; raises as `decoded` does."""
        with contextlib.ExitStack() as stack:
            with self._reading:  # reading and resampling hold tens of megabytes each
                rate, longest = self.listener.sample_rate, self.settings.max_seconds
                recording = stack.enter_context(decoded(path, rate, longest, cancelled))
            return self.transcribe(recording, choice, cancelled)

    def transcribe(
        self, recording: Recording, choice: Choice, cancelled: threading.Event | None = None
    ) -> Record:
        """The transcript, with the waveform's peaks and a token for `again`."""
        started = time.perf_counter()
        heard = Heard([], recording.seconds)
        fits = True

        def keeping(pieces: Iterable[Tensor]) -> Iterator[Tensor]:
            nonlocal fits
            for piece in pieces:
                fits = fits and heard.bytes + piece.nbytes <= self.cache.max_bytes
                if fits:
                    heard.pieces.append(piece.clone())  # a view would keep its whole window
                else:
                    heard.pieces.clear()
                yield piece

        pieces = self.listener.pieces(recording, cancelled or threading.Event())
        record = self._decoded(keeping(pieces), recording.seconds, choice)
        token = self.cache.put(heard) if fits else None
        self.answered += 1
        return {
            **record,
            "token": token,
            "peaks": recording.peaks(),
            "warning": recording.warning,
            "seconds": round(time.perf_counter() - started, 3),
        }

    def again(self, token: str, choice: Choice) -> Record:
        """The transcript by another decoder; `Refusal` (410) where nothing is kept of it."""
        heard = self.cache.get(token)
        started = time.perf_counter()
        record = self._decoded(heard.pieces, heard.seconds, choice)
        return {**record, "token": token, "seconds": round(time.perf_counter() - started, 3)}

    def _decoded(self, pieces: Iterable[Tensor], seconds: float, choice: Choice) -> Record:
        decode = self.decoders.decode(choice)
        recognizer = Recognizer(
            self.pretrained, lambda log_probs, length: {"": decode(log_probs, length)}
        )
        best = recognizer.best(pieces).get("", Hypothesis("", 0.0, 0.0))  # of no pieces: nothing
        return {
            **Transcript.of(best, seconds).record(),
            "decoder": choice.name,
            "alpha": choice.alpha,
            "beta": choice.beta,
        }

    def close(self) -> None:
        self.listener.batcher.close()
