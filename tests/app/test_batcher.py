"""Jobs of several threads share batches, within bounds."""

from __future__ import annotations

import queue
import threading

import pytest

from src.app.batcher import Batcher


class Recorded:
    """Doubles its jobs, once `go` is set, and remembers the batches."""

    def __init__(self) -> None:
        self.batches, self.go, self.begun = [], threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, jobs):
        self.batches.append(jobs)
        self.begun.set()
        assert self.go.wait(10)
        if "broken" in jobs:
            raise ValueError("broken")
        return [2 * job for job in jobs]


def held_up(run, *arguments, **options):
    """A batcher that is busy with the job 0 until `run.go` is set."""
    run.go.clear()
    batcher = Batcher(run, *arguments, **options)
    batcher.submit(0)
    assert run.begun.wait(10)
    return batcher


def test_what_comes_meanwhile_is_the_next_batch_and_each_gets_its_own_result():
    run = Recorded()
    batcher = held_up(run, max_batch=4, max_wait=0.0)
    futures = [batcher.submit(job) for job in range(1, 8)]
    run.go.set()
    assert [future.result(10) for future in futures] == [2 * job for job in range(1, 8)]
    assert run.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]
    assert (batcher.batches, batcher.jobs, batcher.largest) == (3, 8, 4)
    batcher.close()


def test_a_lone_job_waits_for_company():
    run = Recorded()
    batcher = Batcher(run, max_batch=2, max_wait=10.0)
    first, second = batcher.submit(1), batcher.submit(2)
    assert (first.result(5), second.result(5)) == (2, 4)  # full: it does not wait any longer
    assert run.batches == [[1, 2]]
    batcher.submit(3)
    batcher.close()  # nor at the end
    assert run.batches[1:] == [[3]]


def test_the_padded_size_of_a_batch_is_bounded():
    run = Recorded()
    batcher = held_up(run, max_batch=9, max_wait=0.0, size=float, max_size=10)
    for job in (2, 3, 3, 4, 5, 30, 1):
        batcher.submit(job)
    run.go.set()
    batcher.close()
    assert run.batches == [[0], [2, 3, 3], [4, 5], [30], [1]]


def test_an_error_is_told_to_those_of_its_batch_alone():
    run = Recorded()
    batcher = held_up(run, max_batch=2, max_wait=0.0)
    futures = [batcher.submit(job) for job in ("broken", 1, 2)]
    run.go.set()
    for future in futures[:2]:
        with pytest.raises(ValueError, match="broken"):
            future.result(10)
    assert futures[2].result(10) == 4
    batcher.close()


def test_cancelled_jobs_are_not_run_and_a_full_queue_says_so():
    run = Recorded()
    batcher = held_up(run, max_batch=9, max_wait=0.0, max_queue=2)
    cancelled = batcher.submit(1)
    batcher.submit(2)
    with pytest.raises(queue.Full):
        batcher.submit(3)
    assert cancelled.cancel()
    run.go.set()
    batcher.close()
    assert run.batches == [[0], [2]]
