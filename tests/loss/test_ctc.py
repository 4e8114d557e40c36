import itertools
import math

import pytest
import torch

from src.loss import CTCLoss
from src.text_encoder import CTCTextEncoder


def brute_force_nll(log_probs, tokens):
    """-ln of the summed probability of every path that collapses to `tokens`."""
    T, V = log_probs.shape
    total = 0.0
    for path in itertools.product(range(V), repeat=T):
        if [token for token, _ in itertools.groupby(path) if token] == tokens:
            total += math.exp(sum(log_probs[t, token].item() for t, token in enumerate(path)))
    return -math.log(total) if total else math.inf


@pytest.mark.parametrize("tokens", [[1], [1, 2], [2, 2], [1, 2, 1], [3, 3, 1]])
def test_loss_is_the_sum_over_all_paths(tokens):
    log_probs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    padded = torch.cat([log_probs, torch.zeros(3, 4)])[None]
    out = CTCLoss()(padded, torch.tensor([5]), torch.tensor([tokens]), torch.tensor([len(tokens)]))
    expected = brute_force_nll(log_probs.double(), tokens) / len(tokens)
    assert out["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert out["infinite_losses"].item() == 0


def test_what_cannot_be_aligned_is_counted_and_has_no_part_in_the_loss():
    logits = torch.randn(3, 3, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    tokens = torch.tensor([[1, 2, 0], [1, 1, 2], [2, 2, 2]])  # need 2, 4 and 5 of 3 frames
    out = CTCLoss()(
        logits.log_softmax(-1), torch.tensor([3, 3, 3]), tokens, torch.tensor([2, 3, 3])
    )
    first = CTCLoss()(
        logits[:1].log_softmax(-1), torch.tensor([3]), tokens[:1, :2], torch.tensor([2])
    )
    assert out["infinite_losses"].item() == 2
    torch.testing.assert_close(out["loss"], first["loss"])
    out["loss"].backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[1:].abs().sum() == 0
    assert logits.grad[0].abs().sum() > 0


def test_a_certain_text_costs_nothing():
    encoder = CTCTextEncoder()
    tokens = encoder.encode("a cab")
    logits = torch.full((1, len(tokens), len(encoder)), -30.0)
    logits[0, range(len(tokens)), tokens] = 30.0
    length = torch.tensor([len(tokens)])
    out = CTCLoss()(logits.log_softmax(-1), length, torch.tensor([tokens]), length)
    assert out["loss"].item() == pytest.approx(0, abs=1e-6)
    assert out["infinite_losses"].item() == 0


def test_the_sum_runs_in_float32_under_autocast():
    log_probs = torch.randn(1, 200, 30, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    arguments = (torch.tensor([200]), torch.ones(1, 20, dtype=torch.long), torch.tensor([20]))
    exact = CTCLoss()(log_probs, *arguments)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(CTCLoss()(log_probs, *arguments)["loss"], exact)


def test_intermediate_layers_share_the_loss_by_their_weight():
    """(1 - w) CTC + w times the mean over intermediate layers, each term from brute force."""
    generator = torch.Generator().manual_seed(0)
    log_probs, *early = torch.randn(3, 1, 4, 4, generator=generator).log_softmax(-1)
    arguments = (torch.tensor([4]), torch.tensor([[1, 2]]), torch.tensor([2]))
    losses = [brute_force_nll(x[0].double(), [1, 2]) / 2 for x in (log_probs, *early)]
    expected = 0.7 * losses[0] + 0.3 * (losses[1] + losses[2]) / 2
    criterion = CTCLoss(intermediate_weight=0.3)
    loss = criterion(log_probs, *arguments, intermediate_log_probs=early)["loss"]
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    alone = criterion(log_probs, *arguments)["loss"]
    assert alone.item() == pytest.approx(losses[0], rel=1e-5)
