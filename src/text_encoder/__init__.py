"""Text in, tokens out, and back."""

from __future__ import annotations

import json
from pathlib import Path

from src.text_encoder.ctc_text_encoder import CTCTextEncoder
from src.text_encoder.normalize import ALPHABET, normalize_text
from src.text_encoder.phoneme_encoder import PhonemeCTCTextEncoder
from src.text_encoder.sentencepiece_encoder import SentencePieceCTCTextEncoder
from src.utils.errors import UserError

_TYPES: dict[str, type[CTCTextEncoder]] = {
    "characters": CTCTextEncoder,
    "sentencepiece": SentencePieceCTCTextEncoder,
    "phonemes": PhonemeCTCTextEncoder,
}
# what encoders are kept in
FILES = tuple(dict.fromkeys(name for encoder in _TYPES.values() for name in encoder.files))


def load_text_encoder(folder: str | Path) -> CTCTextEncoder:
    """The encoder that `save` wrote into `folder`, never retrained."""
    try:
        kind = json.loads((Path(folder) / "text_encoder.json").read_text())["type"]
        return _TYPES[kind].load(folder)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:  # sentencepiece's
        raise UserError(
            f"{folder} holds no readable text encoder ({error!r}); name a run folder that "
            "train.py wrote"
        ) from None


__all__ = [
    "ALPHABET",
    "FILES",
    "CTCTextEncoder",
    "PhonemeCTCTextEncoder",
    "SentencePieceCTCTextEncoder",
    "load_text_encoder",
    "normalize_text",
]
