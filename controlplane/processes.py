"""`/metrics` of processes: web counts its gunicorn's workers together, Celery's main process its children."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import time
from typing import Any

SHARED = "PROMETHEUS_MULTIPROC_DIR"


def share() -> None:
    """Makes the folder in which this process and those that it forks count together, unless there is one.

    Before anything imports prometheus_client, which looks for it once. It goes with the process.
    """
    if SHARED not in os.environ:
        folder = os.environ[SHARED] = tempfile.mkdtemp(prefix="slipway-metrics-")
        atexit.register(_remove, folder, os.getpid())


def on_starting(server: Any) -> None:
    """gunicorn's hook, in the process that forks its workers: `-c python:controlplane.processes`."""
    share()


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def is_worker() -> bool:
    """Whether this is `celery … worker`."""
    return "celery" in sys.argv[0] and "worker" in sys.argv


def measure_tasks(port: int) -> None:
    """Counts the tasks of this worker, and answers `/metrics` on the port when it is not 0."""
    from celery.signals import task_postrun, task_prerun, worker_ready

    from monitoring.adapters import process_metrics

    begun: dict[str, float] = {}

    def begin(task_id: str, **_: Any) -> None:
        begun[task_id] = time.perf_counter()

    def end(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
        if (at := begun.pop(task_id, None)) is not None:
            process_metrics.task_done(task.name, state or "unknown", time.perf_counter() - at)

    def answer(**_: Any) -> None:
        process_metrics.serve_or_tell(port)

    task_prerun.connect(begin, weak=False)
    task_postrun.connect(end, weak=False)
    if port:
        worker_ready.connect(answer, weak=False)
