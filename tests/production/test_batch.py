"""A scoring job on the stack: started over REST, its worker killed half-way, the answers those of a quiet run."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.production.plant import Plant
from tests.servers.waiting import eventually

pytestmark = pytest.mark.stack
ROWS = 300_000


def test_a_worker_that_is_killed_half_way_leaves_no_trace_in_the_answers(plant: Plant, model: str) -> None:
    tables = plant.home / "tables"
    (tables / "in").mkdir(parents=True)
    values = np.random.default_rng(1).random((ROWS, 3)).astype(np.float32)
    np.savetxt(tables / "in" / "rows.csv", values, "%.6f", ",", header="X_0,X_1,X_2", comments="")
    broken = start(plant, model, "broken")
    eventually(lambda: job(plant, broken)["parts"] >= 1, 60, plant.why)
    kill_children(plant)
    assert job(plant, broken)["state"] == "running"
    whole = start(plant, model, "whole")
    for number in (broken, whole):
        eventually(lambda number=number: job(plant, number)["state"] == "succeeded", 200, plant.why)  # type: ignore[misc]
        assert job(plant, number)["rows"] == ROWS
    assert content(tables / "broken") == content(tables / "whole")
    assert job(plant, broken)["result_digest"] == job(plant, whole)["result_digest"]


def start(plant: Plant, model: str, target: str) -> int:
    document = {"source": "in", "target": target, "chunk_rows": 150}
    return int(plant.must("POST", f"models/{model}/versions/1/scorings", "engineer", json=document)["id"])


def job(plant: Plant, number: int) -> dict[str, Any]:
    return plant.must("GET", f"scorings/{number}")


def kill_children(plant: Plant) -> None:
    """Every process in which a task may run; the workers themselves live and make new ones."""
    for name, service in plant.run()["services"].items():
        if name.startswith("worker-"):
            for child in psutil.Process(service["pid"]).children():
                os.kill(child.pid, signal.SIGKILL)


def content(folder: Path) -> dict[str, bytes]:
    """Every file but drafts that a killed write left."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".part"}
