"""Speech to text in a program of one's own.

from src.trainer import Transcriber
transcriber = Transcriber.from_pretrained("saved/RUN")
transcriber("a.wav").text
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.decoding.checks import warn_of_phonemes
from src.decoding.from_config import build_decoder
from src.trainer.backends import AnyPretrained, load_recognizer
from src.trainer.recognizer import Recognizer
from src.trainer.transcript import Transcript
from src.utils.audio_stream import AudioFile, Waveform
from src.utils.errors import UserError


class Transcriber:
    """A recogniser with one decoder; what `inference.py` writes, it returns.

    Args:
        decoder: a file of configs/decoder, such as `beam_search_lm`.
        window_seconds, overlap_seconds: longer recordings are heard in overlapping windows.
        options: of the decoder, in place of its config's: `lm="lm.arpa"`, `beam_size=100`, ...

    Raises:
        UserError: no such decoder, or what the decoder refuses.
    """

    def __init__(
        self,
        pretrained: AnyPretrained,
        decoder: str = "argmax",
        window_seconds: float = 30.0,
        overlap_seconds: float = 6.0,
        **options: Any,
    ) -> None:
        self.pretrained = pretrained
        decode = build_decoder(
            decoder, pretrained.text_encoder, pretrained.frame_seconds, **options
        )
        warn_of_phonemes(pretrained.text_encoder, [decode])
        self.recognizer = Recognizer(
            pretrained,
            lambda log_probs, length: {decoder: decode(log_probs, length)},
            window_seconds,
            overlap_seconds,
        )

    @classmethod
    def from_pretrained(
        cls, path: str | Path, device: str = "auto", backend: str = "torch", **options: Any
    ) -> Transcriber:
        """From a run folder or one of its checkpoints; `options` as for the class.

        backend: `torch`, or `onnx` or `onnx_int8`, which `scripts/export_onnx.py` writes.
        """
        return cls(load_recognizer(path, backend, device), **options)

    def __call__(self, audio: Any, sample_rate: int | None = None) -> Transcript:
        """The transcript of a recording of any length.

        Args:
            audio: the path of a file (wav, flac, mp3, ogg, opus), or a waveform: floats in
                [-1, 1], [S] or [channels, S], a tensor, an array or a list.
            sample_rate: of the waveform, in Hz.

        Raises:
            UserError: the file or the waveform cannot be read, or no rate is given for it.
        """
        if isinstance(audio, (str, Path)):
            [best], duration = self._recognized(AudioFile(audio))
        else:
            if sample_rate is None:
                raise UserError("a waveform has no sample rate of its own: give sample_rate=...")
            waveform: Tensor = torch.as_tensor(audio)
            [best], duration = self._recognized(Waveform(waveform, sample_rate))
        return Transcript.of(best, duration)

    def _recognized(self, source: AudioFile | Waveform) -> tuple[Any, float]:
        best, duration = self.recognizer.recording(source)
        return best.values(), duration
