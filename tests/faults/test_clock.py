"""The clock of a real `tick` process jumps ahead, back, and is set right, while rollouts walk."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from tests.chaos.plant import Plant
from tests.chaos.test_outages import all_over, begin, phases
from tests.chaos.world import ENDINGS, kind
from tests.servers.postgres import Postgres
from tests.servers.waiting import eventually

pytestmark = pytest.mark.stack
HOUR, SECONDS = 3600, 90.0


def ticks(plant: Plant) -> int:
    """How often anything was observed or decided, as far as rows tell."""
    query = "SELECT count(DISTINCT observed_at), sum(generation) FROM rollouts_endpoint"
    with psycopg.connect(plant.database) as connection:
        return hash(connection.execute(query).fetchone())


def goes_on(plant: Plant) -> None:
    """Waits until a tick has left a trace, or everything has ended."""
    before = ticks(plant)
    eventually(lambda: ticks(plant) != before or all_over(plant), SECONDS, plant.why)


def test_rollouts_end_as_they_should_whatever_the_clock_says(postgres: Postgres, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    with Plant(
        tmp_path, postgres.create("clock"), queue="", variables={"SLIPWAY_TEST_CLOCK": str(clock)}
    ) as plant:
        clock.write_text("0")
        plant.start("dispatcher", [sys.executable, "-m", "tests.faults.clock", "tick"])
        begin(plant)
        for offset in (HOUR, -HOUR, 0, 2 * HOUR, HOUR):
            clock.write_text(str(offset))
            goes_on(plant)
        eventually(lambda: all_over(plant), SECONDS, lambda: f"{phases(plant)} {plant.log('dispatcher')}")
        assert plant.processes["dispatcher"].poll() is None
        wanted = ENDINGS | {"abort": "succeeded"}
        assert phases(plant) == {name: wanted[kind(name)] for name in phases(plant)}
        assert_generations_rose(plant)


def assert_generations_rose(plant: Plant) -> None:
    """No route was applied from an older decision after a newer one."""
    applied: dict[str, list[int]] = {}
    for line in (plant.folder / "world" / "applied.log").read_text().splitlines():
        write = json.loads(line)
        applied.setdefault(write["endpoint"], []).append(write["generation"])
    assert all(a < b for writes in applied.values() for a, b in pairwise(writes))
