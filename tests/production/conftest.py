"""One stack for all tests of this folder; it ends with the last of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from controlplane.up.place import NotPossible
from controlplane.up.servers import find_programs
from tests.browser.conftest import browser
from tests.production.plant import Plant
from tests.servers.waiting import eventually

__all__ = ["browser"]
MODEL = ENDPOINT = "production-test"
POLICY = {"approvals": [{"before": "start", "count": 1, "group": "release_manager", "seconds": 600}]}


@pytest.fixture(scope="package")
def plant() -> Iterator[Plant]:
    """The running stack; skips without the packages, but fails where CI promises them."""
    try:
        find_programs()
    except NotPossible as why:
        pytest.fail(str(why)) if os.environ.get("CI") == "true" else pytest.skip(str(why))
    with Plant() as running:
        yield running


@pytest.fixture(scope="package")
def endpoint(plant: Plant) -> str:
    """An endpoint that serves version 1 of three, in an environment where somebody must approve."""
    plant.must("POST", "models", "engineer", json={"name": MODEL, "owner_team": "tests"})
    for weight in (1.0, 2.0, 3.0):
        plant.register(MODEL, weight)
    plant.must("POST", "environments", json={"name": "production", "policy": POLICY})
    document = {"name": ENDPOINT, "model": MODEL, "environment": "production", "version": 1, "replicas": 1}
    plant.must("POST", "endpoints", json=document)
    eventually(lambda: plant.answers(ENDPOINT, 1), 90, plant.why)
    return ENDPOINT
