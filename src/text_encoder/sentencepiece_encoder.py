"""Subwords as CTC labels, through Google's SentencePiece (arXiv 1808.06226).

Trained once from the training transcripts, kept in a cache under a hash of the transcripts and
the settings, and copied into the run folder, from which inference reads it.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sentencepiece

from src.text_encoder.ctc_text_encoder import CTCTextEncoder
from src.text_encoder.normalize import ALPHABET, normalize_text
from src.utils.cache import user_cache
from src.utils.errors import UserError


class SentencePieceCTCTextEncoder(CTCTextEncoder):
    """`vocab_size` tokens, the blank included; `model_type` is `unigram` or `bpe`.

    SentencePiece's own token 0 is `<unk>`, which normalised text never produces because every
    letter is a required piece: the blank takes its place, so that both number tokens alike.
    """

    unit = "subwords"
    files = (*CTCTextEncoder.files, "sentencepiece.model")
    word_boundary = "▁"

    def __init__(
        self,
        vocab_size: int = 256,
        model_type: str = "unigram",
        cache_dir: str | None = None,
        model: bytes | None = None,
    ) -> None:
        if model_type not in ("unigram", "bpe"):
            raise UserError(f"model_type is {model_type!r}; choose unigram or bpe")
        if vocab_size <= len(ALPHABET):
            raise UserError(
                f"vocab_size is {vocab_size}; the blank, the letters, the apostrophe and the space "
                f"are {len(ALPHABET) + 1} tokens already"
            )
        self.vocab_size = vocab_size
        self.model_type = model_type
        self.cache_dir = cache_dir
        self.vocab: list[str] = []
        if model is not None:
            self._use(model)

    def fit(self, texts: Iterable[str]) -> SentencePieceCTCTextEncoder:
        """Trains on the transcripts, or takes what was trained on the same ones before."""
        texts = [normalize_text(text) for text in texts]
        content = "\n".join([self.model_type, str(self.vocab_size), *texts])
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        folder = Path(self.cache_dir) if self.cache_dir else user_cache("sentencepiece")
        folder.mkdir(parents=True, exist_ok=True)
        cached = folder / f"{self.model_type}_{self.vocab_size}_{key}.model"
        if not cached.exists():
            unfinished = cached.with_suffix(f".{os.getpid()}.tmp")
            unfinished.write_bytes(self._train(texts))
            unfinished.replace(cached)
        self._use(cached.read_bytes())
        return self

    def _train(self, texts: list[str]) -> bytes:
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                vocab_size=self.vocab_size,
                model_type=self.model_type,
                required_chars=ALPHABET.strip(),
                character_coverage=1.0,
                normalization_rule_name="identity",
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                minloglevel=2,
            )
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rpartition("] ")[2]
            raise UserError(
                f"SentencePiece cannot make {self.vocab_size} {self.model_type} tokens from "
                f"{len(texts)} transcripts ({reason}); set text_encoder.vocab_size accordingly"
            ) from None
        return model.getvalue()

    def _use(self, model: bytes) -> None:
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        pieces = self._processor.get_piece_size()
        self.vocab = ["", *(self._processor.id_to_piece(token) for token in range(1, pieces))]
        self.vocab_size = pieces

    def encode(self, text: str) -> list[int]:
        """Tokens of the normalised text, without blanks."""
        return self._processor.encode(normalize_text(text))

    def save(self, folder: str | Path) -> None:
        settings = {"model_type": self.model_type, "vocab_size": self.vocab_size}
        self._describe(folder, {"type": "sentencepiece", **settings})
        (Path(folder) / "sentencepiece.model").write_bytes(self._model)

    @classmethod
    def _described(cls, description: dict[str, Any], folder: Path) -> SentencePieceCTCTextEncoder:
        model = (folder / "sentencepiece.model").read_bytes()
        return cls(description["vocab_size"], description["model_type"], model=model)
