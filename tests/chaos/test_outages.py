"""The database and the queue go away under processes that run and under idle ones; nobody restarts anything."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psycopg
import pytest
from celery import Celery

from tests.chaos.plant import Plant
from tests.chaos.world import ENDINGS, kind
from tests.servers.fixtures import entered
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.waiting import eventually

pytestmark = pytest.mark.stack
ROLLOUTS, SECONDS = 5, 120
OUTAGE = 4.0
# The last outage of the queue. A whole minute is SLIPWAY_TEST_QUEUE_OUTAGE=60; CI takes less.
QUEUE_OUTAGE = float(os.environ.get("SLIPWAY_TEST_QUEUE_OUTAGE", "6"))
# After a minute, Celery waits up to 30 s before it tries again.
RECONNECTED = 60.0
OVER = ("succeeded", "rolled_back", "cancelled", "failed", "concluded", "superseded")


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Postgres:
    """A PostgreSQL of our own, since others must not meet its outages."""
    return entered(request, Postgres())


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> Redis:
    """A Redis of our own."""
    return entered(request, Redis())


def phases(plant: Plant) -> dict[str, str]:
    """The phase of the rollout of each endpoint."""
    query = "SELECT e.name, r.phase FROM rollouts_rollout r JOIN rollouts_endpoint e ON e.id = r.endpoint_id"
    with psycopg.connect(plant.database) as connection:
        return dict(connection.execute(query).fetchall())


def under_way(plant: Plant) -> bool:
    """Whether all are there and some candidate has traffic."""
    found = phases(plant)
    return len(found) == ROLLOUTS and "progressing" in found.values()


def all_over(plant: Plant) -> bool:
    """Whether every rollout ended."""
    return all(phase in OVER for phase in phases(plant).values())


def outage(server: Postgres | Redis, seconds: float = OUTAGE) -> None:
    """Gone for some seconds."""
    server.stop()
    time.sleep(seconds)
    server.start()


def crowd(queue: Redis) -> None:
    """So many messages that every process of a worker has one when the queue goes away."""
    with Celery(broker=queue.url) as sender:
        for _ in range(150):
            sender.send_task("rollouts.tick", args=([],))


def waiting(queue: Redis) -> int:
    with queue.client() as client:
        return client.llen("celery")


def taken_again(plant: Plant, queue: Redis) -> bool:
    """Whether the queue is empty; a worker that ended is started again, as its supervisor would.

    See docs/decisions/0007: Celery can read the end of a result as a message when the queue goes away.
    """
    if plant.processes["worker-1"].poll() is not None:
        print("the worker ended and is started again")
        plant.kill("worker-1")  # what is left of its pool
        plant.worker("worker-1")
    return waiting(queue) == 0


def begin(plant: Plant) -> None:
    """Starts the rollouts and waits until they are under way; nobody watches them after that."""
    plant.scenario(ROLLOUTS)
    eventually(lambda: plant.report.with_suffix(".started").exists(), SECONDS, lambda: plant.log("scenario"))
    plant.kill("scenario")
    eventually(lambda: under_way(plant), SECONDS, plant.why)


def assert_all_ended_well(plant: Plant) -> None:
    eventually(lambda: all_over(plant), SECONDS, lambda: f"{phases(plant)} {plant.log('dispatcher')}")
    # Nobody aborted those that were meant to be aborted, so they succeeded.
    wanted = ENDINGS | {"abort": "succeeded"}
    assert {name: wanted[kind(name)] for name in phases(plant)} == phases(plant)


def test_rollouts_outlive_outages_of_the_database_and_of_the_queue(
    database: Postgres, queue: Redis, tmp_path: Path
) -> None:
    with Plant(tmp_path, database.create("outages"), queue.url) as plant:
        plant.worker("worker-1")
        plant.dispatcher()
        time.sleep(OUTAGE)
        outage(database)  # under idle processes
        outage(queue)
        begin(plant)
        outage(database)  # under busy ones
        outage(queue)
        assert_all_ended_well(plant)
        assert plant.processes["dispatcher"].poll() is None
        # Without a dispatcher, that the queue empties is the work of the worker alone.
        plant.kill("dispatcher")
        for seconds in (1.0, QUEUE_OUTAGE):
            crowd(queue)
            outage(queue, seconds)
            crowd(queue)
            began = time.monotonic()
            eventually(lambda: taken_again(plant, queue), RECONNECTED, lambda: plant.log("worker-1"))
            print(f"the queue was away for {seconds:g} s, taken again after {time.monotonic() - began:.0f} s")


def test_a_tick_process_outlives_a_crash_of_the_database(database: Postgres, tmp_path: Path) -> None:
    with Plant(tmp_path, database.create("crash"), queue="") as plant:
        plant.start("dispatcher", [sys.executable, "manage.py", "tick"])
        begin(plant)
        database.crash()
        time.sleep(OUTAGE)
        database.start()
        assert_all_ended_well(plant)
        assert plant.processes["dispatcher"].poll() is None
