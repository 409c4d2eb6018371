"""What the routers share: reading, fencing and writing one object per endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from rollouts.adapters.kubernetes.api import SERVICE, Kind, Manifest
from rollouts.adapters.kubernetes.manifests import ENDPOINT, GENERATION, OWNED
from rollouts.adapters.kubernetes.seen import (
    Homes,
    Namespace,
    editor_of,
    generation_of,
    namespace_of,
    refuse_stale,
)
from rollouts.adapters.kubernetes.target import Target, Targets, targets
from rollouts.domain.desired import DesiredWorld
from rollouts.domain.observed import RouteEdit
from rollouts.ports import ObservedRoute

# Rules of these names are ours. What others set in them beside the split is kept.
OURS = "slipway-"
KEPT = {"timeouts", "retry", "sessionPersistence", "timeout", "retries", "fault", "corsPolicy", "headers"}


class Dialect(Protocol):
    """How one kind of route is written and read. `rules`: the list of rules in its spec."""

    kind: Kind
    rules: str

    def frame(self, world: DesiredWorld, target: Target) -> Manifest:
        """The spec without its rules."""

    def ours(self, world: DesiredWorld, target: Target) -> list[Manifest]:
        """Our rules in their order, each with a name that begins with OURS."""

    def read(self, endpoint: str, item: Manifest) -> ObservedRoute:
        """What our rules in the object say, whoever wrote them that way."""

    def require_in_effect(self, item: Manifest) -> None:
        """Raises WorldUnavailable while it cannot be told whether what the object says is done."""


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
        self._homes = Homes(lambda _: dialect.kind, self._targets, find)

    def set_route(self, world: DesiredWorld) -> RouteEdit | None:
        """Writes the route if it says something else, fenced by the object's own version."""
        target = self._targets.of(world.environment)
        namespace, kind = self._homes.settle(world.endpoint, target), self._dialect.kind
        present = namespace.present(kind, world.endpoint, world.endpoint)
        refuse_stale([present] if present else [], world.generation)
        found = (present or {}).get("spec", {}).get(self._dialect.rules, [])
        spec = spec_of(self._dialect, world, target, found)
        annotations = {GENERATION: str(world.generation)}
        if present and _says(present, spec, annotations) and not _more(spec[self._dialect.rules], found):
            return None
        metadata: Manifest = {
            "name": world.endpoint,
            "labels": {**OWNED, ENDPOINT: world.endpoint},
            "annotations": annotations,
        }
        manifest = {"apiVersion": kind.api, "kind": kind.kind, "metadata": metadata, "spec": spec}
        namespace.write(kind, manifest, present)
        return self._edit(world, present) if present else None

    def _edit(self, world: DesiredWorld, found: Manifest) -> RouteEdit | None:
        """What others made of a route that had this very decision; None when we wrote it last."""
        by = editor_of(found, self._dialect.rules)
        if not by or generation_of(found) != world.generation:
            return None
        said = self._dialect.read(world.endpoint, found)
        return RouteEdit(said.weights, said.mirror, said.preview, by)

    def observed_route(self, endpoint: str) -> ObservedRoute:
        """What the endpoint's object says and its controller has taken over."""
        namespace = self._homes.of(endpoint)
        found = namespace.all(self._dialect.kind, endpoint) if namespace else []
        if not found:
            return ObservedRoute(weights=None, mirror={})
        self._dialect.require_in_effect(found[0])
        return self._dialect.read(endpoint, found[0])


def _says(present: Manifest, spec: Mapping[str, Any], annotations: Mapping[str, str]) -> bool:
    """Whether the object already is what would be written; defaults that the server added do not count."""
    marked = present["metadata"].get("annotations", {})
    return all(marked.get(name) == value for name, value in annotations.items()) and _within(
        spec, present.get("spec", {})
    )


def spec_of(
    dialect: Dialect, world: DesiredWorld, target: Target, found: Sequence[Manifest] = ()
) -> Manifest:
    """The whole spec, with what others added to the rules that were found."""
    return {**dialect.frame(world, target), dialect.rules: with_theirs(dialect.ours(world, target), found)}


def with_theirs(ours: Iterable[Manifest], found: Sequence[Manifest]) -> list[Manifest]:
    """Our rules with what others set in them beside the split, then the rules of others."""
    present = {str(rule.get("name", "")): rule for rule in found}
    kept = [
        {**{key: value for key, value in present.get(rule["name"], {}).items() if key in KEPT}, **rule}
        for rule in ours
    ]
    return [*kept, *(rule for rule in found if not str(rule.get("name", "")).startswith(OURS))]


def _more(wanted: list[Manifest], found: list[Manifest]) -> bool:
    """Whether a rule has more in it than it should, such as a redirect, which would win over the split."""
    return any(there.keys() - rule.keys() for rule, there in zip(wanted, found, strict=False))


def _within(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _within(value, found[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_within, wanted, found))
    return bool(wanted == found)


def service(world: DesiredWorld, target: Target) -> Manifest:
    """The host that the subsets divide: every server of the endpoint."""
    spec = {
        "selector": {**OWNED, ENDPOINT: world.endpoint},
        "ports": [{"name": "http", "port": 80, "targetPort": target.request_port}],
    }
    return route_object(SERVICE.api, SERVICE.kind, world, spec)


def route_object(api: str, kind: str, world: DesiredWorld, spec: Manifest) -> Manifest:
    """An object of the whole endpoint."""
    metadata = {"name": world.endpoint, "labels": {**OWNED, ENDPOINT: world.endpoint}}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}
