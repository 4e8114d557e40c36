"""What is kept, is bounded in size and in time."""

from __future__ import annotations

import pytest
import torch

from src.app.log_prob_cache import Heard, LogProbCache
from src.app.refusal import Refusal


def heard(frames: int) -> Heard:
    return Heard([torch.zeros(frames, 25)], 1.0)  # 100 bytes a frame


def test_the_oldest_go_first():
    cache = LogProbCache(max_bytes=1000, max_age=60)
    first, second = cache.put(heard(4)), cache.put(heard(4))
    assert len(first) >= 20 and first != second
    third = cache.put(heard(4))
    assert cache.bytes == 800
    with pytest.raises(Refusal) as refusal:
        cache.get(first)
    assert refusal.value.status == 410
    assert cache.get(second).bytes == cache.get(third).bytes == 400


def test_what_is_too_large_is_not_kept_and_evicts_nothing():
    cache = LogProbCache(max_bytes=1000, max_age=60)
    first = cache.put(heard(4))
    assert cache.put(heard(11)) is None
    assert cache.get(first)


def test_all_go_with_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    cache = LogProbCache(max_bytes=1000, max_age=60)
    token = cache.put(Heard([torch.zeros(4, 25)], 1.0, kept_at=now))
    now = 160.0
    assert cache.get(token)
    now = 160.1
    with pytest.raises(Refusal):
        cache.get(token)
    assert cache.bytes == 0
