"""Intermediate CTC and self-conditioning, against the layers applied one by one."""

import pytest
import torch

from src.model.conformer import Conformer
from src.utils.masking import length_mask

FEATURES, LENGTH = torch.randn(2, 40, 80, generator=torch.Generator().manual_seed(1)), [40, 24]


def conformer(**options):
    torch.manual_seed(0)
    return Conformer(
        7, d_model=16, n_layers=4, n_heads=2, subsampling_channels=4, dropout=0.0, **options
    )


def run(model):
    return model(FEATURES, torch.tensor(LENGTH))


def layer_by_layer(model, conditioned_layers):
    """Log-probabilities of each layer's output, through the public parts alone."""
    model.blocks[0].register_forward_pre_hook(lambda _, args: inputs.append(args))
    inputs = []
    run(model)
    x, mask, rotary = inputs[0]
    outputs = []
    for layer, block in enumerate(model.blocks, start=1):
        x = block(x, mask, rotary)
        z = torch.softmax(model.head(x), dim=-1)
        outputs.append(z.log())
        if layer in conditioned_layers:
            x = x + z @ model.conditioning.weight.T + model.conditioning.bias
    return outputs


@pytest.mark.parametrize("conditioned", [False, True])
@torch.no_grad()
def test_chosen_layers_are_read_by_the_head(conditioned):
    model = conformer(intermediate_layers=[1, 3], self_conditioning=conditioned).train()
    expected = layer_by_layer(model, [1, 3] if conditioned else [])
    out = run(model)
    actual = [*out["intermediate_log_probs"], out["log_probs"]]
    assert len(actual) == 3
    valid = length_mask(out["log_prob_length"], actual[0].shape[1])
    for a, layer in zip(actual, (1, 3, 4)):
        torch.testing.assert_close(a[valid], expected[layer - 1][valid], atol=1e-5, rtol=0)


@torch.no_grad()
def test_after_training_only_self_conditioning_costs_anything():
    heads = []
    for conditioned in (False, True):
        model = conformer(intermediate_layers=[1, 3], self_conditioning=conditioned).eval()
        model.head.register_forward_hook(lambda *_: heads.append(conditioned))  # noqa: B023
        out = run(model)
        assert out.keys() == {"log_probs", "log_prob_length"}
        torch.testing.assert_close(out["log_probs"], run(model.train())["log_probs"])
        model.eval()
    assert heads.count(False) == 1 + 3  # one in evaluation, three in training
    assert heads.count(True) == 3 + 3


@torch.no_grad()
def test_intermediate_layers_change_nothing_but_what_is_returned():
    plain, read = conformer().train(), conformer(intermediate_layers=[2]).train()
    assert torch.equal(run(plain)["log_probs"], run(read)["log_probs"])
    assert plain.state_dict().keys() == read.state_dict().keys()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"intermediate_layers": [4]}, r"intermediate_layers \[4\].*between 1 and 3"),
        ({"intermediate_layers": [0, 2]}, r"\[0, 2\]"),
        ({"self_conditioning": True}, "needs intermediate_layers"),
    ],
)
def test_impossible_layers_are_refused(mistake, message):
    with pytest.raises(ValueError, match=message):
        conformer(**mistake)
