"""Where the ready servers are, as the fleet reports it in `fleet/status.json`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.files import BadFile, parse_object


@dataclass(frozen=True)
class Instance:
    """A server that answers requests now."""

    name: str
    host: str
    port: int


Ready = Mapping[tuple[str, str], tuple[Instance, ...]]
"""(endpoint, version) -> its ready instances; a key without any is absent."""


def parse_status(data: bytes) -> Ready:
    """The ready instances of a status document. Raises BadFile when it is not one."""
    endpoints = parse_object(data).get("endpoints")
    if not isinstance(endpoints, dict):
        raise BadFile("endpoints: must be an object")
    found: dict[tuple[str, str], list[Instance]] = {}
    for endpoint, items in endpoints.items():
        for version, instance in _ready(items, endpoint):
            found.setdefault((endpoint, version), []).append(instance)
    return {key: tuple(instances) for key, instances in found.items()}


def _ready(items: Iterable[dict[str, Any]], endpoint: str) -> Iterable[tuple[str, Instance]]:
    try:
        for item in items:
            if item["state"] == "ready":
                name, host, port = str(item["instance"]), str(item["host"]), int(item["port"])
                yield str(item["version"]), Instance(name, host, port)
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile(f"endpoints.{endpoint}: {error!r}") from error


@dataclass
class Rotation:
    """Round robin over the ready instances of each (endpoint, version)."""

    _turns: dict[tuple[str, str], int] = field(default_factory=dict)

    def next(self, ready: Ready, endpoint: str, version: str) -> Instance | None:
        """The instance whose turn it is, or None when none is ready."""
        key = endpoint, version
        instances = ready.get(key)
        if not instances:
            return None
        turn = self._turns.get(key, 0)
        self._turns[key] = turn + 1
        return instances[turn % len(instances)]
