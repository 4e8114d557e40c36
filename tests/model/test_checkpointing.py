import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from src.model import Conformer


def build(**options):
    torch.manual_seed(0)
    settings = {"d_model": 32, "n_layers": 6, "n_heads": 2, "subsampling_channels": 4, **options}
    return Conformer(10, **settings).train()


def step(model):
    """Kept bytes after the forward pass, and the gradients."""
    torch.manual_seed(1)
    features, length = torch.randn(2, 200, 80), torch.tensor([200, 150])
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        out = model(features, length)
    events = profiler.profiler.kineto_results.events()
    kept = sum(event.nbytes() for event in events if event.name() == "[memory]")
    losses = [out["log_probs"], *out["intermediate_log_probs"]]
    sum(log_probs.square().mean() for log_probs in losses).backward()
    return kept, {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(
    "options", [{}, {"positions": "rotary", "stochastic_depth": 0.5, "intermediate_layers": [3]}]
)
def test_checkpointing_keeps_less_and_changes_no_gradient(options):
    """With dropout (and skipped blocks): what is drawn in the forward pass is drawn again."""
    kept, expected = step(build(**options))
    kept_less, actual = step(build(**options, activation_checkpointing=True))
    for name, gradient in expected.items():
        assert torch.equal(actual[name], gradient), name
    assert kept_less < kept / 4
