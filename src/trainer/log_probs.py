"""What a trained model says of a corpus, computed once: decoders are tuned on it many times."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from tqdm import tqdm

from src.datasets import BaseDataset, Collate, DurationBatchSampler, LibriSpeechDataset
from src.decoding.log_prob_set import LogProbSet
from src.text_encoder import CTCTextEncoder
from src.trainer.checkpoint import WEIGHTS, find_checkpoint
from src.trainer.device import choose_device
from src.trainer.hub import local_run
from src.trainer.pretrained import Pretrained, load_pretrained
from src.utils.cache import user_cache

MAX_BATCH_SECONDS = 120.0


def log_probs_of(
    run: str | Path, part: str | Path, limit: int | None = None, device: str = "auto"
) -> tuple[LogProbSet, CTCTextEncoder]:
    """A recogniser's log-probabilities of a corpus in LibriSpeech's layout.

    Kept in `~/.cache/asr/log_probs` under a hash of the paths, sizes and times of the weights and
    the recordings, and of the code that makes features and runs the model.

    Args:
        run: as `load_pretrained` takes it: a run folder, a checkpoint, hf://USER/REPO.
        part: the folder of a part, such as `data/LibriSpeech/dev-clean`.
        limit: as many utterances, drawn with a fixed seed; None for all.
    """
    checkpoint = find_checkpoint(local_run(run), prefer=("best", "last"))
    pretrained = load_pretrained(checkpoint, choose_device(device))
    dataset = LibriSpeechDataset(
        Path(part).name,
        root=str(Path(part).parent),
        download=False,
        packed=False,  # the cache goes by the recordings' files
        limit=limit,
        shuffle_index=True,
        sample_rate=pretrained.transforms.log_mel.sample_rate,
    )
    cached = user_cache("log_probs") / f"{_key(checkpoint, dataset)}.safetensors"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        unfinished = cached.with_suffix(".tmp")
        save_file(_compute(pretrained, dataset), unfinished)
        unfinished.replace(cached)
    log_probs = load_file(cached)
    utterances = LogProbSet(
        [log_probs[row["utterance_id"]] for row in dataset.index],
        [row["text"] for row in dataset.index],
        pretrained.frame_seconds,
    )
    return utterances, pretrained.text_encoder


def _key(checkpoint: Path, dataset: BaseDataset) -> str:
    files = [checkpoint / WEIGHTS, *(Path(row["path"]) for row in dataset.index)]
    seen = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime) for file in files]
    digest = hashlib.sha256(json.dumps(seen).encode())
    for package in ("model", "transforms"):
        for code in sorted((Path(__file__).parents[1] / package).rglob("*.py")):
            digest.update(code.read_bytes())
    return digest.hexdigest()[:16]


@torch.inference_mode()
def _compute(pretrained: Pretrained, dataset: BaseDataset) -> dict[str, torch.Tensor]:
    loader = DataLoader(
        dataset,
        batch_sampler=DurationBatchSampler(dataset, MAX_BATCH_SECONDS, shuffle=False),
        collate_fn=Collate(pretrained.text_encoder),
    )
    log_probs = {}
    for batch in tqdm(loader, "log-probabilities", disable=None):
        batch = pretrained.process_batch(batch)
        lengths = batch["log_prob_length"].tolist()
        for name, value, length in zip(batch["utterance_id"], batch["log_probs"], lengths):
            log_probs[name] = value[:length].float().cpu().contiguous()
    return log_probs
