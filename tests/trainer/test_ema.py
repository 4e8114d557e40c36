import copy

import pytest
import torch
from torch import nn

from src.trainer.ema import WeightEMA


def trajectory(model, steps):
    """Random walks of the weights, one list of tensors a step, put into the model in turn."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator))
        yield model.weight.detach().clone()


@pytest.mark.parametrize("steps", [1, 4, 30])
def test_it_is_the_weighted_sum_of_all_weights_so_far(steps):
    """Closed form: weights i have (1 - d_i) d_(i+1) ... d_n, with d_n = min(d, (1+n)/(10+n))."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    ema = WeightEMA(model, decay=0.6)
    seen = [model.weight.detach().clone()]
    for weights in trajectory(model, steps):
        seen.append(weights)
        ema.update()
    decays = [min(0.6, (1 + n) / (10 + n)) for n in range(steps)]
    assert decays[0] == 0.1
    shares = []
    for i in range(steps + 1):
        share = 1.0 if i == 0 else 1 - decays[i - 1]
        for decay in decays[i:]:
            share *= decay
        shares.append(share)
    assert sum(shares) == pytest.approx(1)
    expected = sum(share * weights for share, weights in zip(shares, seen))
    with ema.in_model():
        torch.testing.assert_close(model.weight, expected)
    assert torch.equal(model.weight, seen[-1])


def test_a_restored_average_goes_on_to_the_bit():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    ema = WeightEMA(model, decay=0.9)
    for _ in trajectory(model, 5):
        ema.update()
    with ema.in_model():
        averaged = {name: value.clone() for name, value in model.state_dict().items()}
        state = copy.deepcopy(ema.state_dict())

    other = nn.Linear(3, 2)
    other.load_state_dict(averaged)
    restored = WeightEMA(other, decay=0.9)
    restored.load_state_dict(state)
    assert torch.equal(other.weight, model.weight)
    for _ in zip(trajectory(model, 3), trajectory(other, 3)):
        ema.update()
        restored.update()
    with ema.in_model(), restored.in_model():
        assert torch.equal(model.weight, other.weight)
        assert torch.equal(model.bias, other.bias)
