import pytest
import torch
from torch import nn

from src.trainer.two_views import two_views
from src.transforms import LogMel, SpecAugment, Transforms
from src.utils.errors import UserError


def a_batch():
    torch.manual_seed(0)
    return {
        "audio": torch.randn(3, 16000).clamp(-1, 1),
        "audio_length": torch.tensor([16000, 12000, 8000]),
        "tokens": torch.tensor([[1, 2], [3, 0], [4, 5]]),
        "token_length": torch.tensor([2, 1, 2]),
        "utterance_id": ["a", "b", "c"],
    }


def test_rows_are_the_same_utterances_masked_differently():
    transforms = Transforms(LogMel(), spec_augmentations={"mask": SpecAugment()})
    clean = transforms.eval()(**a_batch())
    batch = two_views(a_batch(), transforms.train())
    first, second = batch["features"].chunk(2)
    assert batch["views"] == 2
    assert batch["utterance_id"] == ["a", "b", "c"]
    assert torch.equal(batch["feature_length"], clean["feature_length"].repeat(2))
    assert torch.equal(batch["tokens"], a_batch()["tokens"].repeat(2, 1))
    assert torch.equal(batch["token_length"], a_batch()["token_length"].repeat(2))
    for view in (first, second):
        kept = view != 0
        assert torch.equal(view[kept], clean["features"][kept])
    assert not torch.equal(first == 0, second == 0)


class Longer(nn.Module):
    """An augmentation that changes the length at random."""

    stage = "voice"

    def forward(self, audio, audio_length, draws):
        return nn.functional.pad(audio, (0, 1000 + int(draws.integers(8000)[0])))


def test_views_of_different_lengths_are_refused():
    transforms = Transforms(LogMel(), wave_augmentations={"longer": Longer()}).train()
    with pytest.raises(UserError, match="differ in length"):
        two_views(a_batch(), transforms)
