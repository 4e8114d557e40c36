"""From a composed config to a trainer, in the order in which one part needs another."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch.utils.data import DataLoader

from src.datasets import (
    BaseDataset,
    Collate,
    DurationBatchSampler,
    SpeedPerturbedDataset,
    drop_unalignable,
)
from src.datasets.loader import UninterruptedLoader
from src.datasets.seeded import SeededDataset
from src.logger import CSVWriter, MultiWriter
from src.metrics import RecognitionMetrics
from src.text_encoder import CTCTextEncoder, load_text_encoder
from src.trainer.base_trainer import BaseTrainer
from src.trainer.compilation import compile_model
from src.trainer.device import choose_device
from src.trainer.distributed import is_main, on_main, rank, world_size
from src.trainer.initial_weights import initial_text_encoder, load_initial_weights
from src.trainer.pretrained import frame_seconds
from src.trainer.run_folder import record_run
from src.utils.errors import UserError

logger = logging.getLogger(__name__)


def build_trainer(config: DictConfig, run_dir: Path) -> BaseTrainer:
    """Everything `config` names, put together."""
    device = choose_device(config.device)
    datasets = build_datasets(config)
    if missing := {"train", "val"} - datasets.keys():
        raise UserError(f"datasets has no {' and no '.join(sorted(missing))}; training needs both")
    if speeds := config.dataloader.speeds:
        datasets["train"] = SpeedPerturbedDataset(datasets["train"], speeds, config.seed)
    text_encoder = on_main(build_text_encoder, config, datasets["train"].texts, run_dir)
    transforms = instantiate(config.transforms).to(device)
    model = instantiate(config.model, vocab_size=len(text_encoder)).to(device)
    if config.trainer.init_from and not config.trainer.resume_from:
        but = () if config.trainer.init_text_encoder else model.vocabulary_layers
        load_initial_weights(config.trainer.init_from, model, but)
    logger.info("%s with %.2fM parameters", type(model).__name__, _parameters(model) / 1e6)

    def frames(seconds: float) -> int:
        samples = torch.tensor(round(seconds * transforms.log_mel.sample_rate))
        return int(model.output_length(transforms.log_mel.feature_length(samples)))

    drop_unalignable(datasets["train"], text_encoder, frames)
    loaders = {
        split: build_loader(
            dataset, text_encoder, config.dataloader, config.seed, split == "train", device
        )
        for split, dataset in datasets.items()
    }

    trainer_config = dict(config.trainer)
    epoch_len = trainer_config.pop("epoch_len")
    if backend := trainer_config.pop("compile"):
        compile_model(model, backend)
    for done in ("init_from", "init_text_encoder", "resume"):  # the latter has become `resume_from`
        trainer_config.pop(done)
    accumulation = trainer_config["accumulation"]
    steps_per_epoch = epoch_len or max(1, len(loaders["train"]) // accumulation)
    total_steps = trainer_config["epochs"] * steps_per_epoch
    optimizer = instantiate(config.optimizer, _partial_=True)(model.named_parameters())
    lr_scheduler = instantiate(config.lr_scheduler, _partial_=True)(
        optimizer, total_steps=total_steps
    )
    trainer = instantiate(trainer_config, _partial_=True)(
        model=model,
        transforms=transforms,
        criterion=instantiate(config.loss).to(device),
        optimizer=optimizer,
        lr_scheduler=lr_scheduler,
        text_encoder=text_encoder,
        loaders=loaders,
        metrics=build_metrics(config.metrics, text_encoder, frame_seconds(model, transforms)),
        writer=build_writer(config, run_dir),
        run_dir=run_dir,
        device=device,
        steps_per_epoch=steps_per_epoch,
    )
    if config.trainer.resume_from:  # only now is it sure that the config fits the checkpoint
        on_main(record_run, config, run_dir)
    return trainer


def build_text_encoder(config: DictConfig, texts: list[str], run_dir: Path) -> CTCTextEncoder:
    """A new run's encoder learns from `texts`, or is that of `trainer.init_from` (but for
    `init_text_encoder=false`), and is saved; a resumed run keeps its own."""
    if config.trainer.resume_from:
        return load_text_encoder(run_dir / "text_encoder")
    if config.trainer.init_from and config.trainer.init_text_encoder:
        text_encoder = initial_text_encoder(config.trainer.init_from)
    else:
        text_encoder = instantiate(config.text_encoder).fit(texts)
    text_encoder.count(texts)
    text_encoder.save(run_dir / "text_encoder")
    return text_encoder


def build_datasets(config: DictConfig, **options: Any) -> dict[str, BaseDataset]:
    """Every split that `datasets` names, with `options`; a split set to null is left out."""
    return {
        str(split): instantiate(dataset, **options)
        for split, dataset in config.datasets.items()
        if dataset
    }


def build_loader(
    dataset: BaseDataset,
    text_encoder: CTCTextEncoder,
    config: DictConfig,
    seed: int,
    shuffle: bool,
    device: torch.device,
) -> DataLoader:
    """This rank's batches of similar duration, at most `max_batch_seconds` of padded audio each."""
    sampler = DurationBatchSampler(
        dataset,
        max_batch_seconds=config.max_batch_seconds,
        max_batch_size=config.max_batch_size,
        shuffle=shuffle,
        seed=seed,
        rank=rank(),
        world_size=world_size(),
    )
    return UninterruptedLoader(
        SeededDataset(dataset, seed),
        batch_sampler=sampler,
        collate_fn=Collate(text_encoder),
        num_workers=config.num_workers,
        pin_memory=device.type == "cuda",
        # a generator of its own: fetching data never moves the global one, nor a resumed run's
        generator=torch.Generator().manual_seed(seed + rank()),
    )


def build_metrics(
    config: DictConfig, text_encoder: CTCTextEncoder, frame_seconds: float
) -> RecognitionMetrics:
    """`metrics` is a dict of named decoders, nothing more."""
    return RecognitionMetrics(
        {
            str(name): instantiate(decoder, _partial_=True)(
                text_encoder=text_encoder, frame_seconds=frame_seconds
            )
            for name, decoder in config.items()
        }
    )


def build_writer(config: DictConfig, run_dir: Path) -> MultiWriter:
    """CSV and JSON lines always, and what `writer` names beside them; rank 0 alone writes."""
    if not is_main():
        return MultiWriter([])
    return MultiWriter([CSVWriter(run_dir), instantiate(config.writer, run_dir=str(run_dir))])


def _parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
