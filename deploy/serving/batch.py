"""The unit of a model run: one request's tensors, and several requests that share a run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from .datatypes import Array
from .errors import ModelFailed, ServingError
from .model import Model

RowShapes = tuple[tuple[int, ...], ...]


class Job:
    """One request's tensors on their way through the queue; times are perf_counter seconds.

    Whoever asked for it subclasses this: exactly one of `succeed` and `fail` is called, once, unless
    `done` says that nobody waits any more.
    """

    __slots__ = ("inputs", "rows", "shapes", "enqueued", "deadline", "queued", "computed")

    inputs: Sequence[Array]
    rows: int
    shapes: RowShapes | None
    enqueued: float
    deadline: float
    queued: float
    computed: float

    def put(self, inputs: Sequence[Array], rows: int, deadline: float) -> None:
        """Set what a run needs to know; the job is about to be queued."""
        self.inputs = inputs
        self.rows = rows
        self.shapes = None
        self.enqueued = perf_counter()
        self.deadline = deadline
        self.queued = self.computed = 0.0

    def done(self) -> bool:
        """Whether nobody waits for it any more."""
        raise NotImplementedError

    def succeed(self, outputs: list[Array]) -> None:
        """Its outputs are there, in signature order; never raises."""
        raise NotImplementedError

    def fail(self, error: ServingError) -> None:
        """It has failed; never raises."""
        raise NotImplementedError


class AwaitedJob(Job):
    """A job whose caller waits on `future`."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[list[Array]]) -> None:
        self.future = future

    def done(self) -> bool:
        return self.future.done()

    def succeed(self, outputs: list[Array]) -> None:
        self.future.set_result(outputs)

    def fail(self, error: ServingError) -> None:
        self.future.set_exception(error)


class Batch:
    """Jobs of one run and what came of them: an outputs list or an error each."""

    __slots__ = ("jobs", "rows", "inputs", "outputs", "results", "started", "seconds")

    def __init__(self, jobs: list[Job], rows: int) -> None:
        self.jobs = jobs
        self.rows = rows
        self.inputs: Sequence[Array] = ()
        self.outputs: list[Array] | None = None
        self.results: list[list[Array] | ServingError] = []
        self.started = 0.0
        self.seconds = 0.0

    def run(self, model: Model) -> Batch:
        """Compute, in any thread. If the shared run fails, every job runs alone: none pays for another."""
        self.started = perf_counter()
        try:
            if not self._run_together(model):
                self.outputs = None
                self.results = [_run_alone(model, job) for job in self.jobs]
        except Exception as error:  # memory, most likely; whatever it is, nobody may wait for ever
            self.outputs = None
            self.results = [ModelFailed(f"the server failed on this batch: {type(error).__name__}")]
            self.results *= len(self.jobs)
        self.seconds = perf_counter() - self.started
        return self

    def _run_together(self, model: Model) -> bool:
        jobs = self.jobs
        if len(jobs) == 1:
            self.inputs = jobs[0].inputs
        else:
            self.inputs = [np.concatenate(parts) for parts in zip(*(job.inputs for job in jobs), strict=True)]
        try:
            outputs = model.run(self.inputs)
        except ModelFailed as error:
            self.results = [error.with_traceback(None)]  # which leads back here
            # A job that was alone has its answer; several get another run each.
            return len(jobs) == 1
        self.outputs = outputs
        if len(jobs) == 1:
            self.results = [outputs]
            return True
        return self._split(outputs)

    def _split(self, outputs: list[Array]) -> bool:
        rows = self.rows
        if any(array.ndim == 0 or len(array) != rows for array in outputs):
            return False
        start = 0
        for job in self.jobs:
            stop = start + job.rows
            self.results.append([array[start:stop] for array in outputs])
            start = stop
        return True


def _run_alone(model: Model, job: Job) -> list[Array] | ServingError:
    try:
        return model.run(job.inputs)
    except ModelFailed as error:
        return error
