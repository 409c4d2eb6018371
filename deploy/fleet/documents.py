"""The documents that the fleet writes for others. Pure functions."""

from collections.abc import Iterable, Mapping
from typing import Any

from deploy.fleet.instance import Instance, State

HOST = "127.0.0.1"
SCRAPED = (State.READY, State.DRAINING)


def status(instances: Iterable[Instance], errors: Mapping[str, str], wall: float) -> dict[str, Any]:
    """`fleet/status.json`: every instance by endpoint, and the desired files that cannot be followed."""
    endpoints: dict[str, list[dict[str, Any]]] = {}
    for item in sorted(instances, key=lambda instance: instance.name):
        endpoints.setdefault(item.endpoint, []).append(
            {
                "version": item.version,
                "digest": item.digest,
                "instance": item.name,
                "host": HOST,
                "port": item.port,
                "pid": item.process.pid if item.process else None,
                "state": item.state,
                "restarts": item.restarts,
                "message": item.message,
                "since": item.since,
            }
        )
    return {"at": wall, "endpoints": endpoints, "errors": dict(errors)}


def targets(instances: Iterable[Instance], gateway: str | None) -> list[dict[str, Any]]:
    """`fleet/targets.json`: what Prometheus should scrape, in the format of its file_sd_configs."""
    found = [
        {
            "targets": [f"{HOST}:{item.port}"],
            "labels": {
                "job": "slipway-serving",
                "endpoint": item.endpoint,
                "model": item.model,
                "model_version": item.version,
            },
        }
        for item in sorted(instances, key=lambda instance: instance.name)
        if item.state in SCRAPED and item.process is not None
    ]
    if gateway:
        found.append({"targets": [gateway], "labels": {"job": "slipway-gateway"}})
    return found
