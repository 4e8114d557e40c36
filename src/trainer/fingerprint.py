"""Whether two recognisers are the same one, wherever their run folders lie."""

from __future__ import annotations

import hashlib

from omegaconf import DictConfig, OmegaConf
from torch import nn

from src.text_encoder import CTCTextEncoder


def fingerprint_of(model: nn.Module, text_encoder: CTCTextEncoder, config: DictConfig) -> str:
    """Hash of the weights, the vocabulary and the configs of model and features.

    A second for a gigabyte of weights.
    """
    digest = hashlib.blake2b(digest_size=16)
    # augmentations are of training; a copy on another machine may lack their folders
    said = [OmegaConf.to_container(config.model), config.transforms.get("log_mel")]
    digest.update(repr([*said, text_encoder.vocab]).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
