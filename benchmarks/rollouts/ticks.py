"""`python -m benchmarks.rollouts.ticks SIZES PROFILE`: what one worker does with many rollouts."""

from __future__ import annotations

import cProfile
import multiprocessing
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import django

# One process is measured for so long; a whole worker until every rollout was looked at once.
SECONDS = 10.0
SAMPLE = 50
TARGET = 300.0
KINDS = ("with a look", "without")
# A worker has a process per core; each number is that of processes at work.
PROCESSES = (1, 2)


@dataclass(frozen=True)
class Measured:
    """Ticks per second of wall clock; cpu is milliseconds of the worker per tick, without the database."""

    rollouts: int
    kind: str
    processes: int
    rate: float
    cpu: float
    queries: float


def main(sizes: list[int], profile: str) -> int:
    from django.core.management import call_command

    from benchmarks.rollouts.population import grow, template

    call_command("migrate", verbosity=0)
    original = template()
    made, found = 1, []
    for size in sizes:
        grow(original, made, size)
        made = size
        _analyse()
        found += [_measure(size, kind, processes) for kind, processes in product(KINDS, PROCESSES)]
    if profile:
        _profile(profile)
    return _show(found)


def _profile(path: str) -> None:
    _ready(KINDS[0])
    with cProfile.Profile() as recorder:
        _work(SECONDS)
    recorder.dump_stats(path)


def _analyse() -> None:
    """Fresh statistics, as autovacuum keeps them in a database that was not filled a second ago."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _measure(size: int, kind: str, processes: int) -> Measured:
    _ready(kind)
    queries = _queries_of_ticks()
    _ready(kind)
    seconds = SECONDS if processes == 1 else float("inf")
    started = time.perf_counter()
    parts = _in_processes(processes, seconds)
    wall = time.perf_counter() - started
    ticks, cpu = (sum(values) for values in zip(*parts, strict=True))
    return Measured(size, kind, processes, ticks / wall, 1000 * cpu / ticks, queries)


def _in_processes(count: int, seconds: float) -> list[tuple[int, float]]:
    """What `_work` returned in each of so many forked processes, which inherit the world in memory."""
    from django.db import connection

    connection.close()
    connection.close_pool()
    with multiprocessing.get_context("fork").Pool(count) as pool:
        return pool.map(_work, [seconds] * count, chunksize=1)


def _work(seconds: float) -> tuple[int, float]:
    """What `manage.py tick` does until nothing is due: ticks done, seconds of CPU."""
    from rollouts import tasks

    started, used, ticks = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < seconds and (due := tasks.claim()):
        tasks.tick_all(due)
        ticks += len(due)
    return ticks, time.process_time() - used


def _ready(kind: str) -> None:
    """Every endpoint is due, and every rollout is due for a look, or for none."""
    from django.utils import timezone

    from rollouts.models import Endpoint, Rollout

    now = timezone.now()
    looked = now - timedelta(seconds=61 if kind == "with a look" else 0)
    begun = now - timedelta(seconds=120)
    Rollout.objects.update(last_look_at=looked, exposed_at=begun, step_started_at=begun)
    Endpoint.objects.update(look_at=now, observed_at=now - timedelta(seconds=60))


def _queries_of_ticks() -> float:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from rollouts import tasks

    due = tasks.claim(SAMPLE)
    with CaptureQueriesContext(connection) as captured:
        tasks.tick_all(due)
    return len(captured) / len(due)


def _show(found: list[Measured]) -> int:
    print("| active rollouts | tick | processes | ticks/s | CPU ms per tick | SQL per tick | each once |")
    print("|---|---|---|---|---|---|---|")
    for item in found:
        cells = (f"{item.rollouts:,}", item.kind, item.processes, f"{item.rate:,.0f}", f"{item.cpu:.2f}",
                 f"{item.queries:g}", f"{item.rollouts / item.rate:.0f} s")  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")
    for kind, processes in product(KINDS, PROCESSES):
        same = [item for item in found if (item.kind, item.processes) == (kind, processes)]
        cost = same[-1].cpu / same[0].cpu
        met = "met" if min(item.rate for item in same) >= TARGET else "missed"
        print(f"{kind}, {processes} process(es): cost of the largest to the smallest {cost:.2f}; "
              f"{TARGET:g} ticks/s {met}")  # fmt: skip
    return 0


if __name__ == "__main__":
    django.setup()
    sys.exit(main([int(size) for size in sys.argv[1].split(",")], sys.argv[2] if len(sys.argv) > 2 else ""))
