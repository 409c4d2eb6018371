"""What processes measure of themselves: requests of web, tasks of workers, rounds of `tick`.

Processes that share PROMETHEUS_MULTIPROC_DIR, set before this module is imported, are counted together: those
of one gunicorn, or of one Celery worker. Without it a process counts for itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

log = logging.getLogger(__name__)
_OWN = CollectorRegistry(auto_describe=False)
_SHARED = "PROMETHEUS_MULTIPROC_DIR" in os.environ
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
REQUESTS = Histogram(
    "slipway_request_duration_seconds",
    "Requests answered by web, by route and class of status",
    ("method", "route", "code"),
    buckets=_BUCKETS,
    registry=_OWN,
)
TASKS = Histogram(
    "slipway_task_duration_seconds",
    "Tasks done by workers",
    ("task", "outcome"),
    buckets=_BUCKETS,
    registry=_OWN,
)
ROUNDS = Histogram(
    "slipway_tick_round_duration_seconds",
    "Rounds of the dispatcher that found something to do",
    buckets=_BUCKETS,
    registry=_OWN,
)


class Processes:
    """A collector of what this process, or those that share its folder, measured."""

    def collect(self) -> Iterator[Metric]:
        if not _SHARED:
            yield from _OWN.collect()
            return
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        yield from shared.collect()


def request_answered(method: str, route: str, status: int, seconds: float) -> None:
    """One answer of web; `route` is a pattern, never a path."""
    REQUESTS.labels(method, route, f"{status // 100}xx").observe(seconds)


def task_done(task: str, outcome: str, seconds: float) -> None:
    """One task of a worker; `outcome` as Celery calls it: SUCCESS, FAILURE, RETRY…"""
    TASKS.labels(task, outcome.lower()).observe(seconds)


def round_done(seconds: float) -> None:
    """One round of the dispatcher."""
    ROUNDS.observe(seconds)


def serve_or_tell(port: int) -> None:
    """Answers `/metrics` on the port (0: not at all), in a thread: for processes that answer nothing else.

    A port that is taken costs the metrics, nothing else.
    """
    if not port:
        return
    registry = CollectorRegistry()
    registry.register(Processes())
    try:
        start_http_server(port, registry=registry)
    except OSError as error:
        log.error("SLIPWAY_METRICS_PORT %s: %s", port, error)
