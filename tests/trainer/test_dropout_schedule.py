import pytest
from torch import nn

from src.model.attention import SelfAttention
from src.model.conformer import Conformer
from src.trainer.dropout_schedule import DropoutSchedule
from src.utils.errors import UserError


def test_p_is_linear_between_the_points_and_constant_outside():
    schedule = DropoutSchedule([(0.2, 0.0), (0.6, 0.2), (0.8, 0.1)], total_steps=1000)
    expected = {0: 0, 200: 0, 300: 0.05, 400: 0.1, 600: 0.2, 700: 0.15, 800: 0.1, 999: 0.1}
    for step, p in expected.items():
        assert schedule.at(step) == pytest.approx(p, abs=0.0251)  # half a grain of 0.05
    assert schedule.at(400) == pytest.approx(0.1)
    assert len({schedule.at(step) for step in range(1000)}) == 5  # 0, 0.05, ..., 0.2


def test_every_dropout_of_the_model_follows():
    model = Conformer(5, d_model=16, n_layers=2, n_heads=2, dropout=0.3)
    DropoutSchedule([(0, 0.1)], total_steps=10).apply(model, step=4)
    dropouts = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert len(dropouts) == 1 + 2 * (2 + 1 + 1 + 2)
    assert dropouts == pytest.approx([0.1] * len(dropouts))


def test_attention_reads_its_dropout_when_it_runs(monkeypatch):
    """The fused kernel takes p as an argument: it must be the scheduled one."""
    import torch

    import src.model.attention as module

    seen = []

    def spy(query, key, value, *, dropout_p, **options):
        seen.append(dropout_p)
        return value

    monkeypatch.setattr(module, "scaled_dot_product_attention", spy)
    attention = SelfAttention(16, 2, dropout=0.3)
    DropoutSchedule([(0, 0.1)], total_steps=10).apply(attention, step=0)
    for mode in (True, False):
        attention.train(mode)(torch.randn(1, 4, 16), torch.ones(1, 4, dtype=torch.bool))
    assert seen == pytest.approx([0.1, 0.0])


@pytest.mark.parametrize("points", [[(0.5, 0.1), (0.5, 0.2)], [(0, 1.2)], [(0.4, 0), (2, 0.1)]])
def test_impossible_points_are_one_sentence(points):
    with pytest.raises(UserError, match="dropout_schedule"):
        DropoutSchedule(points, total_steps=10)
