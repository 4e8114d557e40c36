"""Each mistake is one sentence about the config, said before anything was read or written."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.datasets import CustomDirAudioDataset, LibriSpeechDataset, ManifestDataset
from src.decoding import lm_files
from src.trainer.config_checks import check_inference, check_training
from src.transforms import SpecAugment
from src.utils.errors import UserError

CONFIGS = str(Path(__file__).parents[2] / "configs")

IMPOSSIBLE = [
    # misspelt, where Hydra lets it pass
    ("+trainer.epoch=3", "there is no setting trainer.epoch; did you mean trainer.epochs?"),
    ("+trainer.epochs_len=3", "did you mean trainer.epoch_len?"),
    ("+model.heads=3", "there is no setting model.heads; did you mean model.n_heads?"),
    ("+dataloader.num_worker=3", "did you mean dataloader.num_workers?"),
    ("+datasets.train.max_length=3", "did you mean datasets.train.max_text_length?"),
    ("+transforms.log_mel.n_mel=3", "did you mean transforms.log_mel.n_mels?"),
    ("+decoder@metrics.x=beam_search +metrics.x.beam_sizes=3", "did you mean metrics.x.beam_size?"),
    ("model._target_=src.model.Konformer", "no src.model.Konformer, which model._target_ names"),
    # of another type
    ("trainer.epochs=ten", "trainer.epochs=ten is not a whole number"),
    ("trainer.epochs=1.5", "trainer.epochs=1.5 is not a whole number"),
    ("trainer.epoch_len=all", "trainer.epoch_len=all is not a whole number or null"),
    ("trainer.max_grad_norm=null", "trainer.max_grad_norm=null is not a number"),
    ("model.d_model=true", "model.d_model=true is not a whole number"),
    ("model.intermediate_layers=[a]", "is not a list (each a whole number)"),
    ("optimizer.lr=fast", "optimizer.lr=fast is not a number"),
    ("dataloader.speeds=1.1", "dataloader.speeds=1.1 is not a list (each a number) or null"),
    ("datasets.train.limit=few", "datasets.train.limit=few is not a whole number or null"),
    ("overwrite=maybe", "overwrite=maybe is not true or false"),
    ("seed=x", "seed=x is not a whole number"),
    ("writer=cometml +writer.mode=of", "writer.mode=of is not one of auto, online, offline"),
    ("optimizer.lr=${learning_rate}", "optimizer.lr: Interpolation key 'learning_rate' not found"),
    # out of range
    ("seed=-1", "seed=-1: use a whole number from 0"),
    ("trainer.epochs=0", "trainer.epochs=0: use 1 or more"),
    ("trainer.accumulation=0", "trainer.accumulation=0: use 1 or more"),
    ("trainer.log_every=0", "trainer.log_every=0: use 1 or more"),
    ("trainer.patience=-1", "trainer.patience=-1: use 1 or more"),
    ("trainer.max_grad_norm=0", "trainer.max_grad_norm=0 would undo every step"),
    ("trainer.ema_decay=1", "trainer.ema_decay=1: use more than 0 and less than 1"),
    ("trainer.dropout_schedule=[[0,2]]", "dropout_schedule [[0, 2]] is no list of"),
    ("trainer.precision=fp64", "trainer.precision=fp64 is not one of float32, bf16, fp16"),
    ("optimizer.lr=-1", "optimizer: Invalid learning rate: -1"),
    ("optimizer.betas=[0.9,2]", "optimizer: Invalid beta parameter at index 1: 2"),
    ("lr_scheduler=onecycle lr_scheduler.pct_start=3", "lr_scheduler: Expected float between"),
    ("lr_scheduler=onecycle trainer.epochs=1 trainer.epoch_len=10", "pct_start is one of 10 steps"),
    ("lr_scheduler.warmup_steps=-1", "lr_scheduler: warmup_steps -1 is negative"),
    ("lr_scheduler=cosine lr_scheduler.final_ratio=2", "lr_scheduler: final_ratio 2 is no share"),
    ("model.n_layers=0", "model: n_layers 0 is not 1 or more"),
    ("model.dropout=1.5", "model: dropout probability has to be between 0 and 1"),
    ("model.stochastic_depth=1", "model: stochastic_depth 1.0 is no probability in [0, 1)"),
    ("model.kernel_size=30", "model: kernel_size 30 is even"),
    ("model.subsampling=3", "model: subsampling factor 3 is not one of 2, 4, 8"),
    ("model.positions=relative", "model: positions 'relative' is not sinusoidal or rotary"),
    ("loss.intermediate_weight=2", "loss: intermediate_weight 2 is no share in [0, 1]"),
    ("loss=cr_ctc loss.consistency_weight=-1", "loss: consistency_weight -1 is negative"),
    ("dataloader.num_workers=-1", "dataloader: num_workers=-1: use 0 or more"),
    ("dataloader.max_batch_seconds=0", "dataloader: max_batch_seconds=0: use a positive number"),
    ("dataloader.max_batch_size=0", "dataloader: max_batch_size=0: use 1 or more"),
    ("dataloader.speeds=[9]", "dataloader: speeds=[9]: use some between 0.5 and 2"),
    ("datasets.train.limit=0", "datasets.train.limit=0 keeps nothing"),
    ("datasets.train.max_duration=-1", "datasets.train.max_duration=-1 leaves nothing"),
    ("transforms.log_mel.hop=0", "transforms: sample_rate 16000, n_mels 80, hop 0: above 0 each"),
    (
        "transforms.spec_augmentations.spec_augment.freq_masks=-1",
        "transforms: a number, width or ratio",
    ),
    ("text_encoder=sp_ctc_text_encoder text_encoder.vocab_size=9", "text_encoder: vocab_size is 9"),
    ("text_encoder=sp_ctc_text_encoder text_encoder.model_type=word", "choose unigram or bpe"),
    ("metrics=beam metrics.beam_search.beam_size=0", "metrics.beam_search: beam_size is 0"),
    # impossible together
    ("model.n_heads=5", "model: d_model 512 is not a multiple of n_heads 5"),
    ("model.d_model=513 model.n_heads=1", "model: positions come in pairs; d_model 513"),
    (
        "model.d_model=24 model.positions=rotary",
        "model: positions come in pairs; d_model 24 with 8",
    ),
    ("model.self_conditioning=true", "model: self_conditioning=true needs intermediate_layers"),
    ("model.intermediate_layers=[21]", "[21] are not between 1 and 20, the layers below the last"),
    ("transforms.log_mel.n_mels=40", "n_mels=40 and model.n_features=80 must be the same"),
    ("transforms.log_mel.window=0.05", "transforms: window 0.05 s is not within the 512 samples"),
    ("device=cpu trainer.precision=fp16", "trainer.precision=fp16 needs a GPU"),
    ("device=cuda:7", "device=cuda:7 cannot be used here"),
    ("trainer.monitor=beam/wer", "trainer.monitor=beam/wer is not measured"),
    ("trainer.monitor=argmax/weer", "did you mean argmax/wer? (there are loss, argmax/wer, argmax"),
    ("datasets.val=null", "datasets has no val; training needs both"),
    ("datasets=manifest", "path and datasets.val.path must be given: datasets.train.path=... da"),
    ("~metrics.argmax", "metrics names no decoder"),
    ("metrics=beam_lm lm=/no/lm.arpa", "lm=/no/lm.arpa is neither a file nor an official"),
    ("metrics=beam_lm metrics.beam_search_lm.vocabulary=shut", "'shut' is neither open nor closed"),
    ("metrics=beam +metrics.beam_search.alpha=0.5", "weigh a language model, but lm is not given"),
]
INFERENCE = [
    ("inferencer.num_workers=-1", "inferencer: num_workers=-1: use 0 or more"),
    ("inferencer.max_batch_seconds=0", "inferencer: max_batch_seconds=0: use a positive number"),
    ("inferencer.formats=[srt,doc]", "inferencer: formats=doc is unknown; choose from srt, vtt"),
    ("inferencer.formats=srt", "inferencer.formats"),
    ("inferencer.window_seconds=0", "inferencer: window_seconds=0: use 1 or more"),
    ("inferencer.overlap_seconds=20", "inferencer: overlap_seconds=20: use 0.4 to half of"),
    ("+inferencer.num_worker=1", "did you mean inferencer.num_workers?"),
    ("metrics=beam metrics.beam_search.beam_size=0", "metrics.beam_search: beam_size is 0"),
    ("+datasets.test.part=x", "there is no setting datasets.test.part"),
]


def composed(name: str, *lines: str):
    """Hydra composes what names a file, which takes a quarter of a second, once for all tests."""
    overrides = [override for line in lines for override in line.split(" ")]
    values = [o for o in overrides if re.match(r"\+?[\w.]+\.[\w.]+=", o)]
    config = copy.deepcopy(_composed(name, *(o for o in overrides if o not in values)))
    for override in values:
        key, _, value = override.removeprefix("+").partition("=")
        OmegaConf.update(config, key, yaml.safe_load(value), force_add=True)
    return config


@functools.cache
def _composed(name: str, *overrides: str):
    with initialize_config_dir(CONFIGS, version_base=None):
        return compose(name, list(overrides))


@pytest.fixture(autouse=True)
def nothing_is_read_or_written(monkeypatch, tmp_path):
    """Data and downloads are out of reach, and the working directory stays empty."""

    def untouchable(function):
        @functools.wraps(function)  # with its signature
        def touched(*args, **kwargs):
            raise AssertionError("data was touched")

        return touched

    for cls in (LibriSpeechDataset, ManifestDataset, CustomDirAudioDataset):
        monkeypatch.setattr(cls, "__init__", untouchable(cls.__init__))
    monkeypatch.setattr(lm_files, "_fetch", untouchable(lm_files._fetch))
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("overrides", "sentence"), IMPOSSIBLE)
def test_impossible_training_is_one_sentence(overrides, sentence):
    config = composed("baseline", "run_name=x", overrides)
    with pytest.raises(UserError) as refused:
        check_training(config)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("overrides", "sentence"), INFERENCE)
def test_impossible_inference_is_one_sentence(overrides, sentence):
    given = ("inferencer.from_pretrained=/no/run", "datasets.test.audio_dir=/no/where")
    with pytest.raises(UserError) as refused:
        check_inference(composed("inference", *given, overrides))
    assert sentence in str(refused.value)


def test_a_defect_in_a_part_is_no_mistake_of_the_users(monkeypatch):
    @functools.wraps(SpecAugment.__init__)
    def broken(self, *args, **kwargs):
        raise AttributeError("a slip in the code")

    monkeypatch.setattr(SpecAugment, "__init__", broken)
    with pytest.raises(Exception, match="a slip in the code") as raised:
        check_training(composed("baseline", "run_name=x"))
    assert not isinstance(raised.value, UserError)
