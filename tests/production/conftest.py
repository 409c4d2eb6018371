"""One stack for all tests of this folder; each file has a model and an endpoint of its own."""

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
def environment(plant: Plant) -> str:
    """An environment where somebody must approve."""
    plant.must("POST", "environments", json={"name": "production", "policy": POLICY})
    return "production"


@pytest.fixture(scope="module")
def model(plant: Plant, request: pytest.FixtureRequest) -> str:
    """A model of three versions, of this file alone: the files share a stack in an order that nobody knows."""
    name = f"{request.path.stem.removeprefix('test_')}-model"
    plant.must("POST", "models", "engineer", json={"name": name, "owner_team": "tests"})
    for weight in (1.0, 2.0, 3.0):
        plant.register(name, weight)
    return name


@pytest.fixture(scope="module")
def endpoint(plant: Plant, model: str, environment: str) -> str:
    """An endpoint that serves version 1 of the file's model."""
    name = f"{model}-endpoint"
    document = {"name": name, "model": model, "environment": environment, "version": 1, "replicas": 1}
    plant.must("POST", "endpoints", json=document)
    eventually(lambda: plant.answers(name, 1), 90, plant.why)
    return name
