import pytest
import torch
from torch import nn

from src.model.conformer import Conformer
from src.trainer.lr_scheduler import noam, onecycle
from src.trainer.parameter_groups import adamw, parameter_groups


def conformer():
    torch.manual_seed(0)
    return Conformer(
        5,
        d_model=16,
        n_layers=3,
        n_heads=2,
        subsampling_channels=4,
        intermediate_layers=[1],
        self_conditioning=True,
    )


def settings(optimizer):
    """name -> (lr, weight decay)"""
    return {
        name: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for name in group["param_names"]
    }


def test_every_parameter_is_in_one_group_and_norms_and_biases_have_no_decay():
    model = conformer()
    found = settings(adamw(model.named_parameters(), lr=0.1, weight_decay=0.2))
    assert found.keys() == dict(model.named_parameters()).keys()
    for module_name, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            exempt = name.endswith("bias") or isinstance(module, nn.LayerNorm)
            expected = (0.1, 0.0 if exempt else 0.2)
            assert found[f"{module_name}.{name}"] == expected, module_name


def test_lower_layers_learn_more_slowly():
    found = settings(adamw(conformer().named_parameters(), lr=1.0, layer_decay=0.5))
    expected = {
        "subsampling.linear.weight": 0.5**4,
        "subsampling.convolutions.0.bias": 0.5**4,
        "blocks.0.attention.qkv.weight": 0.5**3,
        "blocks.2.norm.bias": 0.5,
        "head.weight": 1.0,
        "conditioning.weight": 1.0,
    }
    assert {name: found[name][0] for name in expected} == expected


@pytest.mark.parametrize("schedule", [noam, onecycle])
def test_schedules_keep_the_ratio_of_the_rates(schedule):
    optimizer = adamw(conformer().named_parameters(), lr=1e-3, layer_decay=0.5)
    scheduler = schedule(optimizer, total_steps=20)
    peaks = dict.fromkeys(settings(optimizer), 0.0)
    for _ in range(20):
        for name, (lr, _) in settings(optimizer).items():
            peaks[name] = max(peaks[name], lr)
        optimizer.step()
        scheduler.step()
    ratio = peaks["subsampling.linear.weight"] / peaks["head.weight"]
    assert ratio == pytest.approx(0.5**4)


def test_weight_decay_shrinks_matrices_and_nothing_else():
    """A step with zero gradients is weight decay alone: AdamW multiplies by 1 - lr x decay."""
    model = conformer()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = adamw(model.named_parameters(), lr=0.1, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in model.named_parameters():
        factor = 0.95 if value.ndim > 1 else 1.0
        torch.testing.assert_close(value.detach(), factor * before[name])


def test_without_layer_decay_there_are_two_groups():
    groups = parameter_groups(conformer().named_parameters(), lr=1.0)
    assert len(groups) == 2
