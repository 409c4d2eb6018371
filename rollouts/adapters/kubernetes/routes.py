"""What the routers share: reading, fencing and writing one object per endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rollouts.adapters.kubernetes.api import SERVICE, Conflicted, Kind, Manifest
from rollouts.adapters.kubernetes.manifests import ENDPOINT, GENERATION, OWNED
from rollouts.adapters.kubernetes.seen import Homes, Namespace, namespace_of, refuse_stale
from rollouts.adapters.kubernetes.target import Target, Targets, targets
from rollouts.domain.desired import DesiredWorld
from rollouts.errors import WorldUnavailable
from rollouts.ports import ObservedRoute


class Dialect(Protocol):
    """How one kind of route is written and read."""

    kind: Kind

    def spec(self, world: DesiredWorld, target: Target, present: Mapping[str, Any]) -> Manifest:
        """The whole spec: our rules, then those that others added to `present`."""

    def observed(self, endpoint: str, item: Manifest) -> ObservedRoute:
        """The split in effect; WorldUnavailable while that cannot be told."""


class RouteWriter:
    """The port `TrafficRouter` on one object per endpoint, in the dialect of a router."""

    def __init__(
        self,
        dialect: Dialect,
        where: Targets | None = None,
        find: Callable[[Target], Namespace] = namespace_of,
    ) -> None:
        self._dialect = dialect
        self._targets = where or targets()
        self._find = find
        self._homes = Homes(dialect.kind, self._targets, find)

    def set_route(self, world: DesiredWorld) -> None:
        """Writes the route if it says something else, fenced by the object's own version."""
        target = self._targets.of(world.environment)
        namespace, kind = self._homes.settle(world.endpoint, target), self._dialect.kind
        present = namespace.present(kind, world.endpoint, world.endpoint)
        refuse_stale([present] if present else [], world.generation)
        spec = self._dialect.spec(world, target, (present or {}).get("spec", {}))
        annotations = {GENERATION: str(world.generation)}
        if present and _says(present, spec, annotations):
            return
        metadata: Manifest = {
            "name": world.endpoint,
            "labels": {**OWNED, ENDPOINT: world.endpoint},
            "annotations": annotations,
        }
        if present:
            metadata["resourceVersion"] = present["metadata"]["resourceVersion"]
        manifest = {"apiVersion": kind.api, "kind": kind.kind, "metadata": metadata, "spec": spec}
        try:
            namespace.write(kind, manifest)
        except Conflicted as error:
            raise WorldUnavailable(
                f"The route {world.endpoint} was changed meanwhile; the next tick looks again."
            ) from error

    def observed_route(self, endpoint: str) -> ObservedRoute:
        """What the endpoint's object says and its controller has taken over."""
        namespace = self._homes.of(endpoint)
        found = namespace.all(self._dialect.kind, endpoint) if namespace else []
        if not found:
            return ObservedRoute(weights=None, mirror={})
        return self._dialect.observed(endpoint, found[0])


def _says(present: Manifest, spec: Mapping[str, Any], annotations: Mapping[str, str]) -> bool:
    """Whether the object already is what would be written; defaults that the server added do not count."""
    marked = present["metadata"].get("annotations", {})
    return all(marked.get(name) == value for name, value in annotations.items()) and _within(
        spec, present.get("spec", {})
    )


def _within(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _within(value, found[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_within, wanted, found))
    return bool(wanted == found)


def service(world: DesiredWorld) -> Manifest:
    """The host that the subsets divide: every server of the endpoint."""
    spec = {
        "selector": {**OWNED, ENDPOINT: world.endpoint},
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    }
    return route_object(SERVICE.api, SERVICE.kind, world, spec)


def route_object(api: str, kind: str, world: DesiredWorld, spec: Manifest) -> Manifest:
    """An object of the whole endpoint."""
    metadata = {"name": world.endpoint, "labels": {**OWNED, ENDPOINT: world.endpoint}}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}
