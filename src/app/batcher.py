"""What several threads ask for at the same time is done in one go.

batcher = Batcher(run=lambda jobs: [job + 1 for job in jobs], max_batch=16, max_wait=0.02)
batcher.submit(1).result()      # 2
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Batcher(Generic[Job, Result]):
    """A thread that takes jobs in the order in which they came, several at once.

    Whatever came while a batch was worked on makes the next one; a lone job waits `max_wait`
    seconds for company.

    Args:
        run: the results of a batch of jobs, in their order.
        max_batch: jobs in a batch.
        size: of a job; the largest of a batch times their number is at most `max_size`, but for
            a batch of one.
        max_queue: jobs that wait; `submit` raises `queue.Full` beyond.

    Attributes: `batches`, `jobs` and `largest`, counts of what was done so far.
    """

    def __init__(
        self,
        run: Callable[[list[Job]], Sequence[Result]],
        max_batch: int,
        max_wait: float,
        size: Callable[[Job], float] = lambda job: 0.0,
        max_size: float = float("inf"),
        max_queue: int = 0,
    ) -> None:
        self.run, self.max_batch, self.max_wait = run, max_batch, max_wait
        self.size, self.max_size = size, max_size
        self.batches = self.jobs = self.largest = 0
        self._queue: queue.Queue[tuple[Job, Future[Result]] | None] = queue.Queue(max_queue)
        self._left: list[tuple[Job, Future[Result]] | None] = []  # taken, but not yet of a batch
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Future[Result]:
        future: Future[Result] = Future()
        self._queue.put_nowait((job, future))
        return future

    def close(self) -> None:
        """After what was submitted before is done."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._take()) is not None:
            batch = [
                (job, future)
                for job, future in self._collect(first)
                if future.set_running_or_notify_cancel()
            ]
            if batch:
                self._do(batch)

    def _take(self, timeout: float | None = None) -> tuple[Job, Future[Result]] | None:
        return self._left.pop() if self._left else self._queue.get(timeout=timeout)

    def _collect(self, first: tuple[Job, Future[Result]]) -> list[tuple[Job, Future[Result]]]:
        batch, largest = [first], self.size(first[0])
        deadline = time.monotonic() + self.max_wait
        while len(batch) < self.max_batch:
            try:
                item = self._take(max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            largest = max(largest, self.size(item[0])) if item else largest
            if item is None or largest * (len(batch) + 1) > self.max_size:
                self._left.append(item)
                break
            batch.append(item)
        return batch

    def _do(self, batch: list[tuple[Job, Future[Result]]]) -> None:
        self.batches += 1
        self.jobs += len(batch)
        self.largest = max(self.largest, len(batch))
        try:
            results = self.run([job for job, _ in batch])
        except BaseException as error:  # those who wait must hear of it
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), result in zip(batch, results):
            future.set_result(result)
