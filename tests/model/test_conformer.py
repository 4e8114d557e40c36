import math
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

from src.model.attention import SelfAttention
from src.model.conformer import Conformer
from src.model.convolution import ConvolutionModule
from src.model.positions import rotary_positions, rotate, sinusoidal_positions
from src.model.subsampling import ConvolutionSubsampling
from src.utils.masking import length_mask

CONFIGS = str(Path(__file__).parents[2] / "configs")
SIZES = {
    "conformer_tiny": (2.5e6, 3.5e6),
    "conformer_small": (9e6, 11e6),
    "conformer_medium": (27e6, 33e6),
    "conformer_large": (125e6, 135e6),
}


def build(name, *overrides, vocab_size=29):
    with initialize_config_dir(CONFIGS, version_base=None):
        config = compose("baseline", overrides=[f"model={name}", *overrides])
    torch.manual_seed(0)
    return instantiate(config.model, vocab_size=vocab_size)


@pytest.mark.parametrize("size", SIZES)
def test_parameter_counts(size):
    low, high = SIZES[size]
    with torch.device("meta"):
        model = build(size)
    assert low <= sum(parameter.numel() for parameter in model.parameters()) <= high


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_padding_never_leaks(size, positions):
    """The same utterance alone and beside a longer one; training mode too, with dropout off."""
    model = build(size, f"model.positions={positions}", "model.dropout=0.0").train()
    torch.manual_seed(1)
    long, short = torch.randn(1, 150, 80), torch.randn(1, 61, 80)
    batch = torch.zeros(2, 150, 80)
    batch[0], batch[1, :61] = long[0], short[0]
    batch[1, 61:] = 7.0  # whatever is in the padding
    together = model(batch, torch.tensor([150, 61]))
    for b, features in enumerate((long, short)):
        alone = model(features, torch.tensor([features.shape[1]]))
        T = alone["log_prob_length"].item()
        assert together["log_prob_length"][b] == T
        torch.testing.assert_close(
            together["log_probs"][b, :T], alone["log_probs"][0], atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_subsampling_keeps_a_frame_of_anything(factor):
    subsampling = ConvolutionSubsampling(80, 16, factor, channels=4)
    for frames in [*range(1, 40), 1000]:
        x, length = subsampling(torch.randn(1, frames, 80), torch.tensor([frames]))
        expected = math.ceil(frames / factor)
        assert x.shape == (1, expected, 16)
        assert length.item() == expected == subsampling.output_length(torch.tensor(frames)).item()


def test_sinusoidal_positions_are_those_of_the_paper():
    T, D = 50, 12
    table = sinusoidal_positions(T, D, torch.device("cpu"))
    for t in range(T):
        for i in range(D // 2):
            angle = t / 10000 ** (2 * i / D)
            assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_rotary_scores_depend_on_the_distance_only():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16).expand(2, 1, 1, 40, 16)
    tables = rotary_positions(40, 16, torch.device("cpu"))
    scores = (rotate(q, *tables) @ rotate(k, *tables).transpose(-1, -2))[0, 0]
    for distance in (-7, 0, 5):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=0)
    assert scores[0].std() > 0.1
    torch.testing.assert_close(rotate(q, *tables).norm(dim=-1), q.norm(dim=-1))


@torch.no_grad()
def test_attention_is_softmax_of_scaled_products():
    torch.manual_seed(0)
    attention = SelfAttention(32, 4, dropout=0.0)
    x, mask = torch.randn(2, 9, 32), length_mask(torch.tensor([9, 5]), 9)
    q, k, v = attention.qkv(attention.norm(x)).chunk(3, dim=-1)
    heads = []
    for h in range(4):
        span = slice(8 * h, 8 * h + 8)
        scores = q[..., span] @ k[..., span].transpose(1, 2) / math.sqrt(8)
        scores = scores.masked_fill(~mask[:, None, :], -math.inf)
        heads.append(scores.softmax(dim=-1) @ v[..., span])
    expected = attention.out(torch.cat(heads, dim=-1))
    torch.testing.assert_close(attention(x, mask), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_depthwise_convolution_is_conv1d():
    torch.manual_seed(0)
    module = ConvolutionModule(8, kernel_size=5, dropout=0.0)
    conv1d = nn.Conv1d(8, 8, 5, padding=2, groups=8)
    conv1d.weight.copy_(module.depthwise.weight[:, :, 0])
    conv1d.bias.copy_(module.depthwise.bias)
    x = torch.randn(2, 11, 8)
    gated = nn.functional.glu(module.pointwise_in(module.norm(x)), dim=-1)
    y = conv1d(gated.transpose(1, 2)).transpose(1, 2)
    expected = module.pointwise_out(nn.functional.silu(module.depthwise_norm(y)))
    actual = module(x, torch.ones(2, 11, dtype=torch.bool))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_log_probs_are_a_distribution_in_float32_under_autocast():
    model = Conformer(10, d_model=16, n_layers=1, n_heads=2, subsampling_channels=4)
    with torch.autocast("cpu", torch.bfloat16):
        log_probs = model(torch.randn(1, 40, 80), torch.tensor([40]))["log_probs"]
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(1, 10))


@pytest.mark.parametrize(
    "mistake", [{"positions": "relative"}, {"subsampling": 3}, {"n_heads": 5}, {"kernel_size": 4}]
)
def test_impossible_settings_are_refused(mistake):
    settings = {"d_model": 16, "n_layers": 1, "n_heads": 2, **mistake}
    with pytest.raises(ValueError, match=str(next(iter(mistake.values())))):
        Conformer(10, **settings)
