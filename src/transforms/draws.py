"""Random numbers that belong to utterances, whatever batch, worker or process they come in.

    draws = Draws.of(seed=0, epoch=3, utterance_ids=["84-121123-0000", "84-121123-0001"])
    snr = draws.uniform(5, 30)                   # [B], one number for each utterance
    noise = draws.normal(16000, device)          # [B, 16000]
    other = draws.fork("gain")                   # independent of `draws`

Every number is a function of (seed, epoch, view, utterance id, fork, how many were drawn before),
so that neither resuming nor the number of workers or ranks changes it. Few numbers are made on the
host; noise is made on the device from the utterances' keys, without a generator's state.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the n-th output is mix(key + n * GOLDEN)
GOLDEN = 0x9E3779B97F4A7C15
FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
SHIFTS = (30, 27, 31)


class Draws:
    """A stream of numbers for each of B utterances; `keys` is uint64 [B]."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = keys
        self.drawn = 0

    @classmethod
    def of(cls, seed: int, epoch: int, utterance_ids: Sequence[object], view: int = 0) -> Draws:
        """`view` tells apart the augmentations of one utterance in one epoch (CR-CTC has two)."""
        return cls(
            np.array([_hash(f"{seed}/{epoch}/{view}/{name}") for name in utterance_ids], np.uint64)
        )

    def fork(self, name: str) -> Draws:
        """Streams of their own for what is called `name`."""
        return Draws(mix(self.keys ^ np.uint64(_hash(name))))

    def select(self, rows: np.ndarray) -> Draws:
        """The streams of some utterances, from where they stand."""
        selected = Draws(self.keys[rows])
        selected.drawn = self.drawn
        return selected

    def __len__(self) -> int:
        return len(self.keys)

    def host_uniform(self, *shape: int) -> np.ndarray:
        """[B, *shape] float64 in [0, 1), on the host."""
        count = math.prod(shape)
        number = np.arange(1 + self.drawn, 1 + self.drawn + count, dtype=np.uint64)
        self.drawn += count
        bits = mix(self.keys[:, None] + number * np.uint64(GOLDEN))
        return ((bits >> np.uint64(11)) * 2.0**-53).reshape(len(self), *shape)

    def uniform(
        self,
        low: float = 0.0,
        high: float = 1.0,
        shape: tuple[int, ...] = (),
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """[B, *shape] float32 in [low, high]; goes to the device without a wait for it."""
        values = (low + (high - low) * self.host_uniform(*shape)).astype(np.float32)
        return torch.from_numpy(values).to(device, non_blocking=True)

    def integers(self, below: int) -> np.ndarray:
        """[B] int64 in 0 .. below - 1, on the host."""
        return (self.host_uniform() * below).astype(np.int64)

    def normal(self, size: int, device: torch.device | str = "cpu") -> Tensor:
        """[B, size] float32 of mean 0 and variance 1, made on the device."""
        with np.errstate(over="ignore"):
            keys = mix(self.keys + np.uint64(self.drawn + 1) * np.uint64(GOLDEN))
        self.drawn += 1
        key = torch.from_numpy(keys.view(np.int64)).to(device, non_blocking=True)
        number = torch.arange(1, (size + 1) // 2 + 1, device=device)
        bits = _mix_tensor(key[:, None] + number * _signed(GOLDEN))
        # Box and Muller (1958): two uniform numbers of 32 bits become two normal ones
        first = ((bits >> 32) & 0xFFFFFFFF).float().add_(1.0).mul_(2.0**-32).clamp_(max=1.0)
        second = (bits & 0xFFFFFFFF).float().mul_(2 * math.pi * 2.0**-32)
        radius = first.log_().mul_(-2.0).sqrt_()
        pairs = torch.stack([radius * second.cos(), radius * second.sin()], dim=2)
        return pairs.flatten(1)[:, :size]


def mix(state: np.ndarray) -> np.ndarray:
    """SplitMix64's output function on uint64 of any shape."""
    for shift, factor in zip(SHIFTS, FACTORS):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(SHIFTS[-1]))


def _mix_tensor(state: Tensor) -> Tensor:
    """`mix` on int64: PyTorch's shift to the right keeps the sign, which is masked away."""
    for shift, factor in zip(SHIFTS, FACTORS):
        state = (state ^ _shifted(state, shift)) * _signed(factor)
    return state ^ _shifted(state, SHIFTS[-1])


def _shifted(state: Tensor, shift: int) -> Tensor:
    return (state >> shift).bitwise_and_((1 << (64 - shift)) - 1)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
