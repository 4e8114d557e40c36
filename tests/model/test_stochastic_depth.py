import pytest
import torch

from src.model.conformer import Conformer
from src.model.stochastic_depth import StochasticDepth


def test_each_utterance_keeps_the_layer_rescaled_or_skips_it():
    torch.manual_seed(0)
    x, y = torch.randn(2, 4000, 3, 2)
    layer = StochasticDepth(0.3).train()
    out = layer(x, y)
    skipped = torch.tensor([torch.equal(a, b) for a, b in zip(out, x)])
    torch.testing.assert_close(out[~skipped], (x + (y - x) / 0.7)[~skipped])
    assert skipped.float().mean().item() == pytest.approx(0.3, abs=0.03)  # 4 standard deviations
    assert torch.equal(layer.eval()(x, y), y)


def test_the_expectation_is_what_evaluation_adds():
    torch.manual_seed(0)
    x, y = torch.randn(2, 1, 3, 2)
    out = StochasticDepth(0.4).train()(x.expand(20_000, 3, 2), y.expand(20_000, 3, 2))
    torch.testing.assert_close(out.mean(dim=0, keepdim=True), y, atol=0.05, rtol=0)


def test_the_probability_rises_linearly_with_depth_and_baseline_has_none():
    model = Conformer(5, d_model=16, n_layers=4, n_heads=2, stochastic_depth=0.2)
    drops = [block.stochastic_depth.drop_probability for block in model.blocks]
    assert drops == pytest.approx([0.05, 0.1, 0.15, 0.2])


@torch.no_grad()
def test_a_skipped_block_is_its_norm_alone():
    torch.manual_seed(0)
    model = Conformer(5, d_model=16, n_layers=1, n_heads=2, stochastic_depth=0.5, dropout=0.0)
    block, x = model.blocks[0].train(), torch.randn(64, 6, 16)
    out = block(x, torch.ones(64, 6, dtype=torch.bool))
    skipped = torch.tensor([torch.allclose(a, b) for a, b in zip(out, block.norm(x))])
    assert 10 < skipped.sum() < 54


def test_an_impossible_probability_is_refused():
    with pytest.raises(ValueError, match=r"stochastic_depth 1\.0"):
        StochasticDepth(1.0)
