import math

import pytest
import torch

from src.trainer.lr_scheduler import cosine, noam


def rates(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_noam_is_the_formula_of_the_paper_scaled_to_its_peak():
    values = rates(lambda optimizer: noam(optimizer, 1000, warmup_steps=50), 400)
    for step, value in enumerate(values, start=1):
        paper = min(step**-0.5, step * 50**-1.5)
        assert value == pytest.approx(2.0 * paper / 50**-0.5)
    assert max(values) == pytest.approx(2.0)


@pytest.mark.parametrize("warmup", [20, 0.1])
def test_cosine_rises_to_the_peak_and_falls_to_its_last_ratio(warmup):
    values = rates(
        lambda optimizer: cosine(optimizer, 200, warmup_steps=warmup, final_ratio=0.1), 230
    )
    assert values[:20] == pytest.approx([2.0 * (step + 1) / 20 for step in range(20)])
    middle = 20 + 90
    assert values[middle] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    quarter = 20 + 45
    assert values[quarter] == pytest.approx(2.0 * (0.1 + 0.45 * (1 + math.cos(math.pi / 4))))
    assert values[200:] == pytest.approx([0.2] * 30)
