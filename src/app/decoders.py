"""The decoders that a client may choose from, with any weight of the language model."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from src.app.refusal import Refusal
from src.decoding import Hypothesis
from src.decoding.checks import spells_with_letters
from src.decoding.from_config import CONFIGS, build_decoder
from src.decoding.lm_files import OFFICIAL_LMS, find_lm
from src.decoding.ngram_lm import NGramLM
from src.text_encoder import CTCTextEncoder
from src.trainer.pretrained import Pretrained
from src.utils.errors import UserError

Decode = Callable[[Tensor, Tensor], list[list[Hypothesis]]]

HELD = 8  # decoders of other weights than the usual
MAX_WEIGHT = 10.0


@dataclass(frozen=True)
class Choice:
    """A decoder by its name, and its weights where it has a language model."""

    name: str
    alpha: float | None = None
    beta: float | None = None


class Decoders:
    """Builds each when it is first asked for, and keeps the last few.

    Args:
        names: of files in configs/decoder; those with a language model count only where there
            is one, and the last is the one that a client gets who names none. None: argmax, a
            beam search without a language model, and the one with it that suits `encoder`.
        lm: an ARPA file, or None.

    Raises:
        UserError: no such decoder, or one that cannot be built.
    """

    def __init__(
        self,
        names: Sequence[str] | None,
        lm: Path | None,
        encoder: CTCTextEncoder,
        frame_seconds: float,
    ) -> None:
        self.encoder, self.frame_seconds, self.lm = encoder, frame_seconds, lm
        self.usual: dict[str, Choice] = {}
        self._lm: NGramLM | None = None
        self._built: OrderedDict[Choice, Decode] = OrderedDict()
        self._lock = threading.Lock()  # Hydra composes one config at a time
        if names is None:
            with_lm = "beam_search_lm" if spells_with_letters(encoder) else "beam_search_closed"
            names = ("argmax", "beam_search", with_lm)
        for name in names:
            config = self._config(name)
            if "lm" not in config:
                self.usual[name] = Choice(name)
            elif lm is not None:
                self.usual[name] = Choice(name, config["alpha"], config["beta"])
        if not self.usual:
            raise UserError(f"decoders={list(names)} all need a language model: name one by lm=")

    def _config(self, name: str) -> dict[str, Any]:
        """What its file sets, with what it takes over from another."""
        path = CONFIGS / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
            raise UserError(f"there is no decoder {name!r}; decoders are chosen from {known}")
        config: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        return config

    def choice(self, name: str | None, alpha: float | None, beta: float | None) -> Choice:
        """What a client asks for, to two digits. Raises `Refusal` (400) for what there is not."""
        name = name or list(self.usual)[-1]
        if name not in self.usual:
            raise Refusal(400, f"There is no decoder {name}; there are {', '.join(self.usual)}.")
        usual = self.usual[name]
        if usual.alpha is None:
            return usual
        for weight, value in (("alpha", alpha), ("beta", beta)):
            if value is not None and not (math.isfinite(value) and abs(value) <= MAX_WEIGHT):
                raise Refusal(400, f"{weight} is a number up to {MAX_WEIGHT:g}.")
        if alpha is not None and alpha < 0:
            raise Refusal(400, "alpha, the weight of the language model, is 0 or more.")
        return replace(
            usual,
            alpha=usual.alpha if alpha is None else round(alpha, 2),
            beta=usual.beta if beta is None else round(beta, 2),
        )

    def decode(self, choice: Choice) -> Decode:
        """The decoder, built now or before."""
        with self._lock:
            if choice not in self._built:
                self._built[choice] = self._build(choice)
                while len(self._built) > HELD:
                    self._built.popitem(last=False)
            self._built.move_to_end(choice)
            return self._built[choice]

    def _build(self, choice: Choice) -> Decode:
        options: dict[str, Any] = {}
        if choice.alpha is not None:
            options = {"lm": self.lm, "alpha": choice.alpha, "beta": choice.beta}
        if choice.name.startswith("beam_search"):
            options["num_threads"] = 1  # an utterance at a time
            if choice.alpha is not None:
                # read once for all weights
                self._lm = options["lm"] = self._lm or NGramLM.from_arpa(str(self.lm))
        return build_decoder(choice.name, self.encoder, self.frame_seconds, **options)

    def warm_up(self) -> None:
        """Builds and runs each once, so that no client waits for a compiler."""
        frames = torch.zeros(1, 8, len(self.encoder)).log_softmax(dim=-1)
        for choice in self.usual.values():
            self.decode(choice)(frames, torch.tensor([8]))


def language_model(lm: str | None, pretrained: Pretrained, data_dir: str) -> Path | None:
    """The ARPA file that `lm` means: a path or an official name; `auto` is the one of the run's
    config, if it is on this machine; None is none.

    Raises:
        UserError: as `find_lm` does.
    """
    if lm is None:
        return None
    if lm != "auto":
        return find_lm(lm, data_dir)
    of_run = pretrained.config.get("lm")
    if of_run in OFFICIAL_LMS:
        path = Path(data_dir).expanduser() / "lm" / f"{of_run}.arpa"
        return path if path.is_file() else None
    return Path(of_run) if of_run and Path(of_run).is_file() else None
