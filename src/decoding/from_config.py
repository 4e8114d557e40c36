"""A decoder by the name of its config, for scripts and notebooks.

decoder = build_decoder("beam_search_lm", encoder, 0.04, lm="3-gram.arpa", beam_size=16)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs" / "decoder"


def build_decoder(
    name: str, text_encoder: CTCTextEncoder, frame_seconds: float, **options: Any
) -> Any:
    """What `configs/decoder/<name>.yaml` describes, with `options` in place of its own.

    Raises:
        UserError: no such config, or what the decoder itself refuses.
        omegaconf.errors.MissingMandatoryValue: an option that must be given is not.
    """
    names = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    if name not in names:
        raise UserError(f"there is no decoder {name!r}; choose one of {', '.join(names)}")
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose(name)
    build = instantiate(config, _partial_=True, **options)
    return build(text_encoder=text_encoder, frame_seconds=frame_seconds)
