"""Puts waiting requests into shared model runs, without making anyone wait for company.

A run starts as soon as the model is free; whatever came in meanwhile shares the next one, so batches
grow with load and an idle server adds no delay. Small models run inside the event loop (a thread hop
costs more than they do); others run in one worker thread, and the loop goes on parsing.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from .batch import AwaitedJob, Batch, Job
from .datatypes import Array
from .errors import DeadlineExceeded, QueueFull, ServingError
from .metrics import Metrics
from .model import Model

SMOOTHING = 0.1
"""Weight of the newest run in the running mean of run times."""


class Batcher:
    """The queue in front of one model. Everything but `Batch.run` happens on the event loop."""

    def __init__(
        self,
        model: Model,
        metrics: Metrics,
        *,
        max_batch: int,
        delay: float = 0.0,
        limit: int = 256,
        longest_wait: float = math.inf,
        mergeable: bool = True,
        inline: bool = False,
        eager: bool = True,
    ) -> None:
        """`delay` and `longest_wait` are in seconds; `limit` is the most requests that may wait.

        `eager` runs inside the loop start as soon as they are full; others at the end of its turn.
        """
        self._model = model
        self._metrics = metrics
        self._max_batch = max_batch if mergeable else 1
        self._mergeable = mergeable
        self._ragged = any(spec.dynamic_row for spec in model.signature.inputs)
        self._delay = delay
        self._limit = limit
        self._longest_wait = longest_wait
        self._seconds_per_job = 0.0
        self._seconds_per_run = 0.0
        self._waiting: deque[Job] = deque()
        self._waiting_rows = 0
        self._running: Batch | None = None
        self._company = False
        self._retired = False
        self._start: asyncio.Handle | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._eager = inline and eager
        self._pool = None if inline else ThreadPoolExecutor(1, "model")

    @property
    def inline(self) -> bool:
        return self._pool is None

    @property
    def depth(self) -> int:
        """Requests waiting for a run."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        return not self._waiting and self._running is None

    def check_room(self) -> None:
        """Raise QueueFull if it is: worth knowing before a body is read and parsed.

        It is full, too, when what waits takes longer than a request may wait: to queue one more would
        only mean that it, or one before it, is computed for nobody.
        """
        waiting = len(self._waiting)
        if waiting >= self._limit or (waiting and waiting * self._seconds_per_job > self._longest_wait):
            raise QueueFull(f"the queue is full ({waiting} requests are waiting)")

    def submit(self, inputs: Sequence[Array], rows: int, deadline: float) -> AwaitedJob:
        """Queue one request; `job.future` brings its outputs or a ServingError. Raises as `enqueue`."""
        job = AwaitedJob(self._loop.create_future())
        job.put(inputs, rows, deadline)
        self.enqueue(job)
        return job

    def enqueue(self, job: Job) -> None:
        """Queue one request. It may be answered before this returns.

        Raises:
            QueueFull: as many requests as allowed are waiting already.
        """
        self.check_room()
        if self._ragged:
            job.shapes = tuple(array.shape[1:] for array in job.inputs)
        self._waiting.append(job)
        self._waiting_rows += job.rows
        if self._running is None:
            self._schedule(now=self._eager)
        if self._sweep is None and self._pool is not None:
            self._sweep = self._loop.call_later(
                _sweep_after(job.deadline - job.enqueued), self._sweep_deadlines
            )

    def retire(self) -> None:
        """Finish what waits, then give up the thread."""
        self._retired = True
        if self.idle:
            self.close()

    def close(self) -> None:
        """Give up the thread and what waits."""
        if self._sweep is not None:
            self._sweep.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _schedule(self, now: bool = False) -> None:
        """Start a run at the end of the loop's turn, which may bring company, or `now` if it is full.

        With a delay, wait that long if the last run showed that company is likely.
        """
        full = self._waiting_rows >= self._max_batch
        if full and self._start is not None and (now or isinstance(self._start, asyncio.TimerHandle)):
            self._start.cancel()
            self._start = None
        if full and now:
            self._begin()
        elif self._start is None:
            if self._delay and self._company and not full:
                self._start = self._loop.call_later(self._delay, self._begin)
            else:
                self._start = self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._start = None
        jobs, rows = self._take()
        if not jobs:
            return
        batch = Batch(jobs, rows)
        if self._pool is None:
            self._settle(batch.run(self._model))
            return
        self._running = batch
        self._loop.run_in_executor(self._pool, batch.run, self._model).add_done_callback(self._done)

    def _done(self, run: asyncio.Future[Batch]) -> None:
        batch, self._running = self._running, None
        if batch is not None and not run.cancelled():
            self._settle(batch)

    def _take(self) -> tuple[list[Job], int]:
        """The oldest job and, up to the batch's size, those behind it that fit beside it; and their rows."""
        now = perf_counter()
        jobs: list[Job] = []
        passed_over: list[Job] = []
        rows = 0
        while self._waiting:
            job = self._waiting.popleft()
            # What cannot be ready in time any more would only take the time of others.
            waited = now - job.enqueued > self._seconds_per_run
            if job.done() or _expire(job, now + self._seconds_per_run if waited else now):
                self._waiting_rows -= job.rows
            elif not jobs:
                jobs, rows = [job], job.rows
            elif rows + job.rows > self._max_batch:
                self._waiting.appendleft(job)
                break
            elif job.shapes != jobs[0].shapes:
                passed_over.append(job)
                continue
            else:
                jobs.append(job)
                rows += job.rows
            if jobs and (rows >= self._max_batch or not self._mergeable):
                break
        if passed_over:
            self._waiting.extendleft(reversed(passed_over))
        self._waiting_rows -= rows
        return jobs, rows

    def _settle(self, batch: Batch) -> None:
        """Hand out the results, count them, and go on with what waits."""
        self._company = len(batch.jobs) > 1
        started, seconds = batch.started, batch.seconds
        self._seconds_per_run += SMOOTHING * (seconds - self._seconds_per_run)
        self._seconds_per_job += SMOOTHING * (seconds / len(batch.jobs) - self._seconds_per_job)
        live = []
        for job, result in zip(batch.jobs, batch.results, strict=True):
            job.queued = started - job.enqueued
            job.computed = seconds
            if job.done():
                continue
            live.append((job, result))
            if isinstance(result, ServingError):
                job.fail(result)
            else:
                job.succeed(result)
        if self._waiting:
            self._schedule()
        self._count(batch, live)
        if self._retired and self.idle:
            self.close()

    def _count(self, batch: Batch, live: list[tuple[Job, list[Array] | ServingError]]) -> None:
        metrics = self._metrics
        metrics.batch_size.observe(batch.rows)
        metrics.compute_seconds.observe_many(batch.seconds, len(batch.jobs))
        for job in batch.jobs:
            metrics.queue_seconds.observe(job.queued)
        if metrics.histograms is None:
            return
        if batch.outputs is not None and len(live) == len(batch.jobs):
            metrics.histograms.observe(batch.inputs, batch.outputs)
            return
        for job, result in live:
            if not isinstance(result, ServingError):
                metrics.histograms.observe(job.inputs, result)

    def _sweep_deadlines(self) -> None:
        """Answer requests whose deadline passed while they waited, or while their run goes on."""
        self._sweep = None
        now = perf_counter()
        running = self._running.jobs if self._running is not None else []
        jobs = [job for job in (*running, *self._waiting) if not job.done() and not _expire(job, now)]
        if jobs:
            remaining = min(job.deadline for job in jobs) - now
            self._sweep = self._loop.call_later(_sweep_after(remaining), self._sweep_deadlines)


def _expire(job: Job, now: float) -> bool:
    if now < job.deadline:
        return False
    job.fail(DeadlineExceeded("the deadline passed before the model answered"))
    return True


def _sweep_after(remaining: float) -> float:
    """Seconds to the next look: at the deadline, but within 20 ms for requests that bring a shorter one."""
    return min(max(remaining, 0.001), 0.02)
