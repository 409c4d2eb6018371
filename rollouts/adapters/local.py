"""The embedded world: server processes under the fleet supervisor, traffic through the gateway.

Both sides are separate programs in `deploy/`; they and these adapters meet only in files under
SLIPWAY_HOME and in what the gateway reports over HTTP (docs/embedded.md has the formats).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from django.conf import settings

from rollouts.adapters.files import read_document, replace_document
from rollouts.domain.desired import DesiredWorld, ReleaseSpec
from rollouts.domain.snapshot import WorkloadStatus
from rollouts.errors import WorldUnavailable
from rollouts.ports import ObservedRoute

# The supervisor writes its status at least every second; older than this, it is gone.
STATUS_AGE_SECONDS = 5.0
GATEWAY_TIMEOUT_SECONDS = 2.0
WARMUP_REQUESTS = 32
# By what users are told apart where a plan does not say.
KEY = ("header", "x-slipway-key")


class LocalCluster:
    """Servers as processes: writes what should run, reads what the supervisor says runs."""

    def __init__(self, home: Path | None = None) -> None:
        self._folder = (home or settings.SLIPWAY_HOME) / "fleet"

    def apply(self, world: DesiredWorld, artifacts: Mapping[str, str]) -> None:
        document = {
            "endpoint": world.endpoint,
            "model": world.model,
            "generation": world.generation,
            "workloads": [_workload(release, artifacts[release.digest]) for release in world.releases],
        }
        replace_document(self._folder / "desired" / f"{world.endpoint}.json", document)

    def observe(self, endpoint: str) -> Mapping[str, WorkloadStatus]:
        status = read_document(self._folder / "status.json")
        if status is None or time.time() - float(status.get("at", 0)) > STATUS_AGE_SECONDS:
            raise WorldUnavailable("The fleet supervisor has not reported for some seconds.")
        by_version: dict[str, list[dict[str, Any]]] = {}
        for instance in status.get("endpoints", {}).get(endpoint, []):
            by_version.setdefault(str(instance["version"]), []).append(instance)
        return {version: _status(instances) for version, instances in by_version.items()}

    def room(self, environment: str) -> None:
        """Processes of one machine share what there is."""
        return


class LocalRouter:
    """The gateway: its routes are files, and it reports over HTTP what it applies."""

    def __init__(self, home: Path | None = None, url: str | None = None) -> None:
        self._folder = (home or settings.SLIPWAY_HOME) / "gateway" / "routes"
        self._url = url or settings.SLIPWAY_GATEWAY_URL

    def set_route(self, world: DesiredWorld) -> None:
        assert world.route is not None
        document = {
            "endpoint": world.endpoint,
            "model": world.model,
            "generation": world.generation,
            "split": [{"version": version, "weight": weight} for version, weight in world.route.split],
            "mirror": [{"version": version, "percent": percent} for version, percent in world.route.mirror],
            "matches": [_match(*world.route.preview)] if world.route.preview else [],
            "sticky": dict([world.route.sticky or KEY]),
        }
        replace_document(self._folder / f"{world.endpoint}.json", document)

    def observed_route(self, endpoint: str) -> ObservedRoute:
        try:
            response = requests.get(f"{self._url}/-/routes", timeout=GATEWAY_TIMEOUT_SECONDS)
            response.raise_for_status()
            route = response.json()["endpoints"].get(endpoint)
        except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError) as error:
            raise WorldUnavailable(
                f"The gateway at {self._url} did not report its routes: {_in_words(error)}."
            ) from error
        if route is None or not route.get("split"):
            return ObservedRoute(weights=None, mirror={})
        return ObservedRoute(
            weights={str(share["version"]): int(share["weight"]) for share in route["split"]},
            mirror={str(copy["version"]): int(copy["percent"]) for copy in route.get("mirror") or []},
            preview=next((str(match["version"]) for match in route.get("matches") or []), None),
        )


def _in_words(error: Exception) -> str:
    """Why there are no routes; the libraries' own texts name sockets and objects."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {GATEWAY_TIMEOUT_SECONDS:g} s"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"it answered with status {error.response.status_code}"
    if isinstance(error, requests.ConnectionError):
        return "nothing answers there; it may be starting anew"
    return "its answer is not the list of routes"


def _match(by: str, name: str, value: str, version: str) -> dict[str, str]:
    return {by: name, "value": value, "version": version}


def _workload(release: ReleaseSpec, artifact: str) -> dict[str, Any]:
    return {
        "version": release.version,
        "digest": release.digest,
        "artifact": artifact,
        "replicas": release.replicas,
        "threads": 1,
        "warmup": WARMUP_REQUESTS,
        "histograms": dict(release.histograms),
        "options": {},
    }


def _status(instances: list[dict[str, Any]]) -> WorkloadStatus:
    ready = sum(instance["state"] == "ready" for instance in instances)
    messages = [str(instance.get("message") or "") for instance in instances if instance["state"] != "ready"]
    return WorkloadStatus(
        ready=ready,
        desired=len(instances),
        restarts=sum(int(instance.get("restarts", 0)) for instance in instances),
        failed=not ready and any(instance["state"] == "failed" for instance in instances),
        message=next((message for message in messages if message), ""),
    )
