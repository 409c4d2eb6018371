"""A cluster, a router, metrics and artifacts that processes share through files; each endpoint's name
says how its candidate turns out.

Every route that was really applied is one line of `applied.log`, in the order of its application.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from monitoring.adapters.memory import MemorySource
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.ports import Group, Where
from registry.adapters.memory import MemoryStore
from rollouts.adapters.files import read_document, replace_document
from rollouts.domain.desired import DesiredWorld
from rollouts.domain.snapshot import WorkloadStatus
from rollouts.ports import ObservedRoute
from tests.chaos.killer import boundary

CANDIDATE = "2"
# What the first part of an endpoint's name means, and how its rollout must end.
ENDINGS = {
    "good": "succeeded",
    "outage": "succeeded",
    "bad": "rolled_back",
    "broken": "rolled_back",
    "abort": "rolled_back",
}
REQUESTS = 10_000.0


def folder() -> Path:
    """Where the world is kept."""
    return Path(os.environ["SLIPWAY_CHAOS_WORLD"])


def kind(endpoint: str) -> str:
    """`good` of `good-007`."""
    return endpoint.partition("-")[0]


class FileCluster:
    """Servers are ready as soon as they are asked for; a `broken` candidate never."""

    def apply(self, world: DesiredWorld, artifacts: Mapping[str, str]) -> None:
        releases = {release.version: release.replicas for release in world.releases}
        document = {"generation": world.generation, "releases": releases}
        replace_document(folder() / "cluster" / f"{world.endpoint}.json", document)

    def observe(self, endpoint: str) -> Mapping[str, WorkloadStatus]:
        document = read_document(folder() / "cluster" / f"{endpoint}.json") or {"releases": {}}
        return {version: _status(endpoint, version, size) for version, size in document["releases"].items()}

    def room(self, environment: str) -> None:
        return None


def _status(endpoint: str, version: str, replicas: int) -> WorkloadStatus:
    if kind(endpoint) == "broken" and version == CANDIDATE:
        return WorkloadStatus(desired=replicas, failed=True, message="the model does not load")
    return WorkloadStatus(ready=replicas, desired=replicas)


class FileRouter:
    """A route is in effect as soon as its file is there."""

    def set_route(self, world: DesiredWorld) -> None:
        assert world.route is not None
        boundary("route")
        document = {"generation": world.generation, "split": dict(world.route.split)}
        with (folder() / "applied.log").open("a") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            if replace_document(folder() / "routes" / f"{world.endpoint}.json", document):
                log.write(json.dumps({"endpoint": world.endpoint, **document}) + "\n")

    def observed_route(self, endpoint: str) -> ObservedRoute:
        document = read_document(folder() / "routes" / f"{endpoint}.json")
        return ObservedRoute(weights=document["split"] if document else None, mirror={})


class ScriptedSource(MemorySource):
    """Error counts as the endpoint's name has them; an `outage` provider answers every other time."""

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        endpoint = str(where["endpoint"])
        if kind(endpoint) == "outage" and random.random() < 0.5:
            raise MetricsUnavailable("the provider is away")
        bad = REQUESTS / 2 if kind(endpoint) == "bad" else 0.0
        return {("1", "ok"): REQUESTS, (CANDIDATE, "ok"): REQUESTS - bad, (CANDIDATE, "error"): bad}


class Anywhere(MemoryStore):
    """Every digest can be fetched."""

    def path_or_uri(self, digest: str) -> str:
        return f"memory:{digest}"
