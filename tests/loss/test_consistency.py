import math

import pytest
import torch

from src.loss import ConsistencyCTCLoss, CTCLoss
from src.loss.consistency import consistency

LENGTH = torch.tensor([7, 4, 7, 4])  # two utterances, two views each
TOKENS, TOKEN_LENGTH = torch.tensor([[1, 2, 3], [3, 3, 0]] * 2), torch.tensor([3, 2] * 2)


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 7, 5, generator=generator, dtype=torch.double, requires_grad=True)


def divergence_by_hand(teacher, student):
    """KL(teacher || student) of two lists of distributions, from the definition."""
    return sum(
        p * (math.log(p) - math.log(q))
        for ps, qs in zip(teacher.tolist(), student.tolist())
        for p, q in zip(ps, qs)
    )


def test_consistency_is_the_divergence_from_the_other_view(logits):
    probabilities = logits.softmax(-1)
    expected = [
        divergence_by_hand(probabilities[b - 2][:length], probabilities[b][:length])
        for b, length in enumerate(LENGTH)
    ]
    actual = consistency(logits.log_softmax(-1), LENGTH)
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.double))


def test_its_gradient_treats_the_other_view_as_a_constant(logits):
    """d KL(p || softmax(z)) / dz = softmax(z) - p for a constant p; none beyond the end."""
    consistency(logits.log_softmax(-1), LENGTH).sum().backward()
    probabilities = logits.detach().softmax(-1)
    expected = probabilities - probabilities.roll(2, dims=0)
    for b, length in enumerate(LENGTH):
        expected[b, length:] = 0
    torch.testing.assert_close(logits.grad, expected)


def test_the_loss_is_the_mean_of_both_views_and_alpha_times_their_disagreement(logits):
    """Equation of arXiv 2410.05101: (CTC(a) + CTC(b)) / 2 + alpha (KL(a || b) + KL(b || a)) / 2,
    here per token."""
    log_probs = logits.log_softmax(-1)
    views = [
        CTCLoss()(log_probs[rows], LENGTH[rows], TOKENS[rows], TOKEN_LENGTH[rows])["loss"]
        for rows in (slice(0, 2), slice(2, 4))
    ]
    p = log_probs.exp()
    disagreement = 0.0
    for b in range(2):
        first, second = p[b, : LENGTH[b]], p[b + 2, : LENGTH[b]]
        both = divergence_by_hand(first, second) + divergence_by_hand(second, first)
        disagreement += both / 2 / TOKEN_LENGTH[b].item() / 2
    loss = ConsistencyCTCLoss(0.3)(log_probs, LENGTH, TOKENS, TOKEN_LENGTH, views=2)["loss"]
    assert loss.item() == pytest.approx(sum(views).item() / 2 + 0.3 * disagreement, rel=1e-5)


def test_in_evaluation_it_is_plain_ctc(logits):
    arguments = (logits.log_softmax(-1), LENGTH, TOKENS, TOKEN_LENGTH)
    assert torch.equal(ConsistencyCTCLoss()(*arguments)["loss"], CTCLoss()(*arguments)["loss"])
