"""What holds for every augmentation, whatever it does."""

import numpy as np
import pytest
import soundfile
import torch

from src.transforms import (
    BackgroundNoise,
    Clipping,
    ColouredNoise,
    Draws,
    Dropouts,
    Gain,
    HighPass,
    LogMel,
    LowPass,
    PitchShift,
    Reverberation,
    SpecAugment,
    Telephone,
    TimeWarp,
    Transforms,
)
from src.transforms.augmentation import STAGES, Augmentation
from src.utils.errors import UserError
from tests.transforms.signals import speech_like

LENGTHS = torch.tensor([16000, 9000, 700, 1, 12000])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    click = np.exp(-np.arange(2000) / 400) * np.random.default_rng(0).normal(size=2000) * 0.1
    click[0] = 0.9
    soundfile.write(folder / "click.wav", click, 16000)
    return str(folder)


KINDS = (Gain, Clipping, Dropouts, LowPass, HighPass, Telephone, ColouredNoise, PitchShift)
KINDS += (BackgroundNoise, Reverberation, SpecAugment, TimeWarp)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def augmentation(request, folder):
    needs_folder = request.param in (BackgroundNoise, Reverberation)
    return request.param(folder) if needs_folder else request.param()


@pytest.fixture
def batch(augmentation):
    """x, lengths: waveforms, or features where it works on these."""
    if isinstance(augmentation, (SpecAugment, TimeWarp)):
        length = LENGTHS // 160 + 1
        x = torch.randn(5, int(length.max()), 80, generator=torch.Generator().manual_seed(0))
    else:
        length, x = LENGTHS, torch.stack([speech_like(16000, seed) for seed in range(5)])
    mask = torch.arange(x.shape[1]) < length[:, None]
    return x.masked_fill(~mask.view(*mask.shape, *[1] * (x.ndim - 2)), 0), length


def draws(size=5, epoch=0):
    return Draws.of(0, epoch, range(size))


def test_it_changes_utterances_and_never_what_lies_beyond_them(augmentation, batch):
    x, length = batch
    before = x.clone()
    changed = torch.zeros(5, dtype=torch.bool)
    for epoch in range(4):
        after = augmentation(x, length, draws(epoch=epoch))
        assert after.shape == x.shape
        assert after.isfinite().all()
        for b, end in enumerate(length.tolist()):
            assert not after[b, end:].any(), "the padding is silent"
        changed |= (after != x).flatten(1).any(dim=1)
    assert torch.equal(x, before), "the input is left alone"
    assert changed[[0, 1, 4]].all()


def test_an_utterance_is_changed_alike_in_any_batch_and_padding(augmentation, batch):
    x, length = batch
    if isinstance(augmentation, PitchShift):
        x, length = x[:, :16000], length  # its last frames see the padding: silence in both
    together = augmentation(x, length, draws())
    for b in (0, 1, 4):
        end = int(length[b])
        alone = augmentation(x[b : b + 1, :end], length[b : b + 1], draws().select(np.array([b])))
        torch.testing.assert_close(alone[0], together[b, :end], atol=2e-4, rtol=1e-3)


def test_silence_stays_finite(augmentation, batch):
    x, length = batch
    assert augmentation(torch.zeros_like(x), length, draws()).isfinite().all()


def test_probability_is_that_of_each_utterance(augmentation, batch):
    x, _ = batch
    x = x[:1, :800].repeat(400, *[1] * (x.ndim - 1))
    length = torch.full((400,), x.shape[1])
    augmentation.probability = 0.25
    changed = (augmentation(x, length, draws(400)) != x).flatten(1).any(dim=1)
    chosen = draws(400).host_uniform() < 0.25
    assert abs(chosen.mean() - 0.25) < 0.07  # three deviations
    assert not changed[torch.from_numpy(~chosen)].any()
    augmentation.probability = 0.0
    assert augmentation(x, length, draws(400)) is x


@pytest.mark.gpu
def test_a_gpu_changes_utterances_as_a_cpu_does(augmentation, batch):
    x, length = batch
    expected = augmentation(x, length, draws())
    found = augmentation.to("cuda")(x.cuda(), length.cuda(), draws()).cpu()
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-2)


class TestTransforms:
    audio = torch.stack([speech_like(16000, seed) for seed in range(2)])
    length = torch.tensor([16000, 12000])
    ids = ("a", "b")

    def features(self, transforms, **options):
        batch = {"audio": self.audio, "audio_length": self.length, "utterance_id": self.ids}
        return transforms(**{**batch, **options})["features"]

    def test_they_act_in_training_only(self):
        transforms = Transforms(LogMel(), {"gain": Clipping()}, {"mask": SpecAugment()})
        plain = self.features(Transforms(LogMel()))
        assert torch.equal(self.features(transforms.eval()), plain)
        assert not torch.equal(self.features(transforms.train()), plain)

    def test_draws_follow_seed_epoch_view_and_name(self):
        def features(seed=0, name="mask", **options):
            return self.features(Transforms(LogMel(), {}, {name: SpecAugment()}, seed), **options)

        assert torch.equal(features(), features())
        others = [features(1), features(name="x"), features(epoch=1), features(view=1)]
        assert not any(torch.equal(features(), other) for other in others)

    def test_one_augmentation_more_leaves_the_draws_of_the_others(self):
        mask = self.features(Transforms(LogMel(), {}, {"mask": SpecAugment()})) == 0
        both = Transforms(LogMel(), {"gain": Gain()}, {"mask": SpecAugment()})
        assert torch.equal(self.features(both) == 0, mask)

    def test_features_are_of_the_augmented_audio(self):
        loud = Transforms(LogMel(), {"clip": Clipping((12, 12))})
        batch = loud(self.audio, self.length, self.ids)
        again = Transforms(LogMel())(batch["augmented_audio"], self.length)
        assert torch.equal(batch["features"], again["features"])

    def test_sound_meets_them_in_the_order_of_stages(self):
        order = []

        class Noted(Augmentation):
            def __init__(self, stage):
                super().__init__()
                self.stage = stage

            def augment(self, x, length, draws):
                order.append(self.stage)
                return x

        backwards = {stage: Noted(stage) for stage in reversed(STAGES[:5])}
        self.features(Transforms(LogMel(), backwards))
        assert order == list(STAGES[:5])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Gain(probability=1.5), "probability 1.5 is not between 0 and 1"),
        (lambda: Gain(decibels=(6, -6)), "decibels .* must be .lowest, highest"),
        (lambda: Gain(decibels=(1,)), "decibels .* must be"),
        (lambda: ColouredNoise(snr=(-100, 0)), "snr .* must be"),
        (lambda: LowPass(cutoff=(100, 9000)), "cutoff .* from 1 to 8000"),
        (lambda: LowPass(order=0), "order 0 is no filter"),
        (lambda: Clipping(decibels=(-3, 3)), "decibels .* must be"),
        (lambda: Dropouts(number=0), "must be above 0"),
        (lambda: Telephone(sample_rate=4000), "below a telephone's"),
        (lambda: PitchShift(semitones=[30]), "name some from -12 to 12"),
        (lambda: TimeWarp(max_shift=0), "moves nothing"),
        (lambda: SpecAugment(freq_masks=-1), "a number, width or ratio"),
    ],
)
def test_impossible_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_folders_without_recordings_are_refused(tmp_path):
    for make in (BackgroundNoise, Reverberation):
        with pytest.raises(UserError, match="is not a folder"):
            make(str(tmp_path / "nowhere"))
        with pytest.raises(UserError, match="has no recording"):
            make(str(tmp_path))
    soundfile.write(tmp_path / "silent.wav", np.zeros(100), 16000)
    with pytest.raises(UserError, match="silent"):
        Reverberation(str(tmp_path))(torch.ones(1, 100), torch.tensor([100]), draws(1))
