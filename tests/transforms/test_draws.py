import math

import numpy as np
import torch

from src.transforms.draws import GOLDEN, Draws, mix

IDS = [f"84-121123-{n:04}" for n in range(200)]


def test_the_generator_is_splitmix64():
    """The first outputs for seed 1234567 as published with the reference implementation."""
    states = np.uint64(1234567) + np.arange(1, 6, dtype=np.uint64) * np.uint64(GOLDEN)
    assert mix(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_numbers_hang_on_seed_epoch_view_utterance_and_fork_alone():
    def first(seed=0, epoch=0, view=0, name="a", fork="gain"):
        return Draws.of(seed, epoch, [name], view).fork(fork).uniform(shape=(3,)).tolist()

    assert first() == first()
    changed = [first(seed=1), first(epoch=1), first(view=1), first(name="b"), first(fork="clip")]
    assert len({str(numbers) for numbers in [first(), *changed]}) == 6


def test_company_and_order_do_not_matter():
    alone = Draws.of(0, 0, ["b"])
    among = Draws.of(0, 0, ["a", "b", "c"])
    for draw in (
        lambda draws: draws.uniform(-1, 1, (2, 3)),
        lambda draws: draws.normal(1001),
        lambda draws: draws.normal(2 * len(draws) + 99)[:, :100],  # as many as one likes
        lambda draws: torch.from_numpy(draws.integers(1000)),
    ):
        assert torch.equal(draw(alone)[0], draw(among)[1])
    selected = among.select(np.array([1]))
    assert torch.equal(selected.uniform(), among.uniform()[1:2])


def test_uniform_numbers_are_uniform_and_independent():
    numbers = Draws.of(0, 0, IDS).host_uniform(500)
    counts, _ = np.histogram(numbers, bins=100, range=(0, 1))
    chi_squared = ((counts - 1000) ** 2 / 1000).sum()
    assert 60 < chi_squared < 150  # 99 degrees of freedom: mean 99, deviation 14
    correlation = np.corrcoef(numbers)
    assert np.abs(correlation[~np.eye(200, dtype=bool)]).max() < 5 / math.sqrt(500)
    assert numbers.min() >= 0
    assert numbers.max() < 1


def test_normal_numbers_are_normal_and_white():
    numbers = Draws.of(0, 0, IDS[:20]).normal(20_000)
    assert numbers.isfinite().all()
    normal = torch.distributions.Normal(0.0, 1.0)
    shares = normal.cdf(numbers.flatten()).sort().values
    steps = (torch.arange(len(shares)) + 0.5) / len(shares)
    assert (shares - steps).abs().max() < 1.95 / math.sqrt(len(shares))  # Kolmogorov, 0.1%
    for lag in (1, 2, 3, 10_000):
        product = (numbers[:, lag:] * numbers[:, :-lag]).mean()
        assert abs(product) < 5 / math.sqrt(numbers[:, lag:].numel())
    assert abs((numbers[0] * numbers[1]).mean()) < 5 / math.sqrt(20_000)


def test_every_call_draws_anew():
    draws = Draws.of(0, 0, ["a"])
    assert len({draws.host_uniform().item() for _ in range(100)}) == 100
    assert not torch.equal(draws.normal(8), draws.normal(8))
