import math

import pytest
import torch
from torch import nn

from src.model.dropout import Dropout


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.97])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_drops_independently_and_keeps_the_mean(p, dtype):
    torch.manual_seed(0)
    n = 1_000_001  # not a multiple of four
    x = torch.ones(n, dtype=dtype, requires_grad=True)
    y = Dropout(p).train()(x)
    y.sum().backward()
    dropped = y.detach() == 0
    sigma = math.sqrt(p * (1 - p) / n)
    assert dropped.float().mean().item() == pytest.approx(p, abs=4 * sigma + 2**-16)
    assert torch.equal(x.grad, y)  # of all ones: the mask and its scale
    assert y.detach()[~dropped].unique().item() == pytest.approx(1 / (1 - p), rel=4e-3)
    for lag in (1, 2, 3, 4):  # the four that share a number, and the next ones
        both = (dropped[lag:] & dropped[:-lag]).float().mean().item()
        assert both == pytest.approx(p * p, abs=6 * math.sqrt(p * p * (1 - p * p) / n) + 2**-15)


def test_every_call_draws_anew_and_a_seed_repeats_it():
    dropout, x = Dropout(0.5).train(), torch.ones(10, 7)
    torch.manual_seed(1)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(1)
    assert torch.equal(dropout(x), first) and not torch.equal(first, second)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_and_everything(p):
    x = torch.randn(3, 5)
    assert torch.equal(Dropout(p).train()(x), nn.Dropout(p).train()(x))
    assert torch.equal(Dropout(p).eval()(x), x)
