"""The commands of docs/production.md, typed as they stand there, on the running stack: the runbook, and the
backup after which everything is lost and comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from tests.production.plant import Plant
from tests.production.shell import blocks, run
from tests.servers.waiting import eventually

pytestmark = pytest.mark.stack
PAGE = "docs/production.md"


@pytest.mark.parametrize("script", blocks(PAGE, "## Runbook"), ids=lambda script: script.split("\n")[0][:40])
def test_a_command_of_the_runbook_works_on_the_stack(plant: Plant, endpoint: str, script: str) -> None:
    run(script, plant.environment)
    eventually(lambda: plant.ready()["status"] == "ok", 60, plant.why)


def test_everything_is_lost_and_comes_back_on_the_stack(
    plant: Plant, model: str, endpoint: str, tmp_path: Path
) -> None:
    (script,) = [block for block in blocks(PAGE) if "deploy/backup/backup" in block]
    backup, restore = script.splitlines()
    environment = {**plant.environment, "BACKUP": str(tmp_path / "backup")}
    before = plant.must("GET", f"models/{model}/versions")["items"]
    assert "backed up to" in run(backup, environment)
    url = (plant.home / "secrets" / "database-url").read_text()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
    shutil.rmtree(plant.home / "artifacts")
    assert plant.ready()["code"] == 503
    said = run(restore, environment)
    assert "The chain is whole" in said and "artifacts are whole" in said
    eventually(lambda: plant.ready()["status"] == "ok", 60, plant.why)
    assert plant.must("GET", f"models/{model}/versions")["items"] == before
    assert "The chain is whole" in plant.manage("verify_audit")
    serving = plant.must("GET", f"endpoints/{endpoint}")["stable"]["version"]
    eventually(lambda: plant.answers(endpoint, serving), 60, plant.why)
    assert plant.register(model, 4.0) == len(before) + 1
