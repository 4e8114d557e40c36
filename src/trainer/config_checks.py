"""A config is refused before data is touched: names, types, values, and what cannot go together.

Names and types are compared with the constructors' signatures. Then the parts are built once
for the purpose, without data, memory or traces on the disk, so that each constructor says itself
which values it does not take. Only rules between parts stand here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from src.datasets import DurationBatchSampler
from src.datasets.speed_perturbation import check_speeds
from src.decoding.lm_files import OFFICIAL_LMS, find_lm
from src.text_encoder import CTCTextEncoder
from src.trainer.backends import check_backend
from src.trainer.device import choose_device
from src.trainer.inferencer import Inferencer
from src.trainer.initial_weights import find_initial
from src.trainer.settings import check_settings
from src.trainer.transcript_files import check_formats
from src.trainer.windows import check_windows
from src.utils.errors import UserError
from src.utils.signatures import check_arguments, check_targets, find_target

Plain = dict[str, Any]

ONE_WORD_LM = r"""
\data\
ngram 1=4
ngram 2=1

\1-grams:
-1	<unk>
0	<s>	0
-1	</s>
-1	a	0

\2-grams:
-1	<s> a

\end\
"""


def check_training(config: DictConfig) -> None:
    """The config of `train.py`.

    Raises:
        UserError: what is misspelt or impossible, in one sentence.
    """
    plain = _plain(config)
    settings = plain["trainer"]
    _check_names_and_types(plain)
    check_arguments(_of_dataloader, plain["dataloader"], "dataloader")
    check_settings(settings, plain["metrics"], choose_device(config.device))
    if settings["init_from"]:
        find_initial(settings["init_from"])
    _of_dataloader(**plain["dataloader"])
    _check_datasets(plain["datasets"], needed=("train", "val"))
    _check_parts(plain)
    _check_decoders(plain["metrics"])


def check_inference(config: DictConfig) -> None:
    """The config of `inference.py`; raises as `check_training` does."""
    plain = _plain(config)
    settings = plain["inferencer"]
    _check_names_and_types(plain)
    check_arguments(Inferencer, settings, "inferencer", also=["from_pretrained", "backend"])
    _of_dataloader(settings["max_batch_seconds"], None, settings["num_workers"], part="inferencer")
    with _said_of("inferencer"):
        check_backend(settings["backend"])
        check_windows(settings["window_seconds"], settings["overlap_seconds"])
        check_formats(settings["formats"])
    _check_datasets(plain["datasets"])
    _check_decoders(plain["metrics"])


def _plain(config: DictConfig) -> Plain:
    """The config as plain dicts and lists, everything in it given and resolved."""
    try:
        if missing := sorted(OmegaConf.missing_keys(config)):
            raise UserError(f"{' and '.join(missing)} must be given: {'=... '.join(missing)}=...")
        plain: Any = OmegaConf.to_container(config, resolve=True)
    except InterpolationToMissingValueError as error:
        name = str(error.msg).splitlines()[0].rpartition(" ")[2]
        raise UserError(f"{name} must be given: {name}=...") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error.msg).splitlines()[0]}") from error
    return plain


def _check_names_and_types(plain: Plain) -> None:
    if not plain["metrics"]:
        raise UserError("metrics names no decoder; choose metrics=argmax, beam or beam_lm")
    check_arguments(_of_run, {name: plain[name] for name in OF_RUN}, "")
    if not 0 <= plain["seed"] < 2**32:
        raise UserError(f"seed={plain['seed']}: use a whole number from 0 to 2^32 - 1")
    for part, node in plain.items():
        if part == "trainer":
            own = {name: node[name] for name in OF_BUILD_TRAINER}
            check_arguments(_of_build_trainer, own, part)
            check_arguments(find_target(node["_target_"], part), node, part, also=OF_BUILD_TRAINER)
        else:
            check_targets(node, part)


# The signatures of settings that no constructor takes

OF_RUN = ("data_dir", "save_dir", "lm", "device", "seed", "overwrite")
OF_BUILD_TRAINER = ("epoch_len", "init_from", "init_text_encoder", "resume", "compile")


def _of_run(
    data_dir: str, save_dir: str, lm: str, device: str, seed: int, overwrite: bool
) -> None: ...


def _of_build_trainer(
    epoch_len: int | None,
    init_from: str | None,
    init_text_encoder: bool,
    resume: Literal["auto"] | None,
    compile: str | None,
) -> None: ...


def _of_dataloader(
    max_batch_seconds: float,
    max_batch_size: int | None,
    num_workers: int,
    speeds: list[float] | None = None,
    part: str = "dataloader",
) -> None:
    with _said_of(part):
        DurationBatchSampler(_NoData(), max_batch_seconds, max_batch_size)
        if num_workers < 0:
            raise UserError(f"num_workers={num_workers}: use 0 or more")
        if speeds is not None:
            check_speeds(speeds)


class _NoData:
    durations: list[float] = []  # noqa: RUF012


def _check_datasets(datasets: Plain, needed: Sequence[str] = ()) -> None:
    splits = {name: options for name, options in datasets.items() if options}
    if missing := set(needed) - splits.keys():
        raise UserError(f"datasets has no {' and no '.join(sorted(missing))}; training needs both")
    for name, options in splits.items():
        limit, longest = options.get("limit"), options.get("max_duration")
        if limit is not None and limit < 1:
            raise UserError(f"datasets.{name}.limit={limit} keeps nothing; use null to keep all")
        if longest is not None and longest <= (options.get("min_duration") or 0):
            raise UserError(f"datasets.{name}.max_duration={longest} leaves nothing")


def _check_parts(plain: Plain) -> None:
    model, transforms, settings = plain["model"], plain["transforms"], plain["trainer"]
    with _said_of("text_encoder"):
        instantiate(plain["text_encoder"])
    with _said_of("model"), torch.device("meta"):
        instantiate(model, vocab_size=len(CTCTextEncoder()))
    with _said_of("transforms"):
        instantiate(transforms)
    with _said_of("loss"):
        instantiate(plain["loss"])
    with _said_of("optimizer"):
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = instantiate(plain["optimizer"], _partial_=True)([("weight", parameter)])
    with _said_of("lr_scheduler"):
        steps = settings["epochs"] * (settings["epoch_len"] or 1000)
        instantiate(plain["lr_scheduler"], _partial_=True)(optimizer, total_steps=steps)

    bands, expected = transforms["log_mel"].get("n_mels", 80), model.get("n_features", 80)
    if bands != expected:
        raise UserError(
            f"transforms.log_mel.n_mels={bands} and model.n_features={expected} must be the same; "
            "set model.n_features alone"
        )


def _check_decoders(metrics: Plain) -> None:
    """Builds the decoders of characters, with a language model of one word for a large one."""
    text_encoder = CTCTextEncoder()
    text_encoder.count([])
    with TemporaryDirectory() as folder:
        small = Path(folder) / "lm.arpa"
        small.write_text(ONE_WORD_LM.lstrip(), encoding="utf-8")
        for name, decoder in metrics.items():
            with _said_of(f"metrics.{name}"):
                options = {}
                if lm := decoder.get("lm"):
                    _check_lm(lm)
                    options["lm"] = str(small)
                build = instantiate({**decoder, **options}, _partial_=True)
                build(text_encoder=text_encoder, frame_seconds=0.04)


def _check_lm(lm: str | Plain) -> None:
    """A file must be there; an official model is fetched when its turn comes."""
    name = lm["lm"] if isinstance(lm, dict) else lm
    if name not in OFFICIAL_LMS:
        find_lm(name)


@contextmanager
def _said_of(part: str) -> Iterator[None]:
    """What a constructor says of its values becomes the user's, with the part's name before it."""
    try:
        yield
    except (UserError, ValueError, TypeError, InstantiationException) as error:
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__:
            cause = cause.__cause__
        if not isinstance(cause, (UserError, ValueError, TypeError)):
            raise
        raise UserError(f"{part}: {cause}") from error
