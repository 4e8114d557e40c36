"""Whether two recognisers are the same one, wherever their run folders lie."""

from __future__ import annotations

import hashlib

from omegaconf import OmegaConf

from src.trainer.pretrained import Pretrained


def fingerprint_of(pretrained: Pretrained) -> str:
    """Hash of the weights, the vocabulary and the configs of model and features.

    A second for a gigabyte of weights.
    """
    digest = hashlib.blake2b(digest_size=16)
    # augmentations are of training; a copy on another machine may lack their folders
    config = pretrained.config
    said = [OmegaConf.to_container(config.model), config.transforms.get("log_mel")]
    digest.update(repr([*said, pretrained.text_encoder.vocab]).encode())
    for name, weights in sorted(pretrained.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
