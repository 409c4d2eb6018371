"""Traffic through an HTTPRoute of Gateway API (https://gateway-api.sigs.k8s.io)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from rollouts.adapters.kubernetes.api import HTTP_ROUTE, Manifest
from rollouts.adapters.kubernetes.manifests import name_of
from rollouts.adapters.kubernetes.routes import OURS, RouteWriter, service
from rollouts.adapters.kubernetes.seen import Namespace, namespace_of
from rollouts.adapters.kubernetes.sticking import cookie_pattern, handed_out, pins, unsticky
from rollouts.adapters.kubernetes.target import Target, Targets, configured
from rollouts.domain.desired import DesiredWorld
from rollouts.domain.observed import RouteEdit
from rollouts.errors import WorldUnavailable
from rollouts.ports import ObservedRoute

SPLIT, MATCHED = f"{OURS}split", f"{OURS}matched"


class GatewayApiDialect:
    """An HTTPRoute is done when its controller has accepted its newest generation."""

    kind = HTTP_ROUTE
    rules = "rules"

    def frame(self, world: DesiredWorld, target: Target) -> Manifest:
        spec: Manifest = {"parentRefs": [_parent(target, world.endpoint)]}
        return {**spec, "hostnames": [target.host]} if target.host else spec

    def ours(self, world: DesiredWorld, target: Target) -> list[Manifest]:
        assert world.route is not None
        matched = [_matched(world, target)] if world.route.preview else []
        return [*matched, *_pinned(world, target), _split(world, target)]

    def require_in_effect(self, item: Manifest) -> None:
        _require_accepted(item)

    def read(self, endpoint: str, item: Manifest) -> ObservedRoute:
        rules = {rule.get("name"): rule for rule in item["spec"].get("rules", [])}
        split, matched = rules.get(SPLIT, {}), rules.get(MATCHED, {})
        mirror: dict[str, int] = {}
        for one in split.get("filters", []):
            if copied := one.get("requestMirror"):
                version = _version(endpoint, copied["backendRef"]["name"])
                mirror[version] = copied.get("percent", 100)
        return ObservedRoute(
            weights=_weights(endpoint, split) or None,
            mirror=mirror,
            preview=next(iter(_weights(endpoint, matched)), None),
        )


class GatewayApiRouter(RouteWriter):
    """The port `TrafficRouter` on HTTPRoutes."""

    def __init__(
        self, where: Targets | None = None, find: Callable[[Target], Namespace] = namespace_of
    ) -> None:
        super().__init__(GatewayApiDialect(), where, find)
        self._served: set[str] = set()

    def set_route(self, world: DesiredWorld) -> RouteEdit | None:
        """In a mesh the endpoint has a Service of its own, which the route divides."""
        target = self._targets.of(world.environment)
        if is_mesh(target) and not target.gateway.get("name") and world.endpoint not in self._served:
            self._find(target).api.apply(service(world, target), namespace=target.namespace)
            self._served.add(world.endpoint)
        return super().set_route(world)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """For a target of SLIPWAY_TARGETS_FILE: `options` are the fields of `Target`."""
        return cls(configured(options))

    @staticmethod
    def unsticky(options: Mapping[str, Any], by: str, shares: int) -> str:
        """Why it cannot keep users with a version as a plan asks; "" when it can."""
        return unsticky(by, shares)


def is_mesh(target: Target) -> bool:
    """Whether the route belongs to a Service inside a mesh such as Linkerd, and not to a Gateway."""
    return target.gateway.get("kind") == "Service"


def _parent(target: Target, endpoint: str) -> Manifest:
    """The Gateway; in a mesh the Service that callers name, the endpoint's unless another is given."""
    mesh = is_mesh(target)
    name = target.gateway.get("name") or (endpoint if mesh else "")
    if not name:
        raise WorldUnavailable("No Gateway is named: set `gateway: {name: …}` for this environment.")
    parent = {
        "name": name,
        "kind": "Service" if mesh else "Gateway",
        "group": "" if mesh else "gateway.networking.k8s.io",
    }
    namespace = target.gateway.get("namespace")
    return {**parent, "namespace": namespace} if namespace else parent


def _split(world: DesiredWorld, target: Target) -> Manifest:
    assert world.route is not None
    mirrors = [
        {
            "type": "RequestMirror",
            "requestMirror": {"backendRef": _backend(world.endpoint, version), "percent": percent},
        }
        for version, percent in world.route.mirror
    ]
    return {
        "name": SPLIT,
        "matches": [{"path": _path(world, target)}],
        "filters": [*_rewrite(target), *mirrors],
        "backendRefs": [
            {
                **_backend(world.endpoint, version),
                "weight": weight,
                "filters": [_answer(version, handed_out(world, version, target))],
            }
            for version, weight in world.route.split
        ],
    }


def _matched(world: DesiredWorld, target: Target) -> Manifest:
    """The rule of testers, or of one arm of an experiment; it goes first."""
    assert world.route is not None and world.route.preview is not None
    by, name, value, version = world.route.preview
    header: Manifest = {"type": "Exact", "name": name, "value": value}
    if by == "cookie":
        header = _cookie(name, value)
    return _apart(world, target, MATCHED, header, version)


def _pinned(world: DesiredWorld, target: Target) -> list[Manifest]:
    """A rule per version for the clients that have met it."""
    return [
        _apart(world, target, f"{OURS}kept-v{version}", _cookie(name, value), version)
        for version, name, value in pins(world)
    ]


def _apart(world: DesiredWorld, target: Target, name: str, header: Manifest, version: str) -> Manifest:
    """Requests with this header go to that version whatever its share."""
    return {
        "name": name,
        "matches": [{"path": _path(world, target), "headers": [header]}],
        "filters": _rewrite(target),
        "backendRefs": [{**_backend(world.endpoint, version), "weight": 1, "filters": [_answer(version)]}],
    }


def _cookie(name: str, value: str) -> Manifest:
    """Gateway API knows no cookies; most implementations match headers by expression."""
    return {"type": "RegularExpression", "name": "cookie", "value": cookie_pattern(name, value)}


def _path(world: DesiredWorld, target: Target) -> Manifest:
    return {"type": "PathPrefix", "value": "/" if is_mesh(target) else f"/{world.endpoint}"}


def _rewrite(target: Target) -> list[Manifest]:
    """Servers know nothing of the endpoint's name; in a mesh it is the host and not in the path."""
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    return [] if is_mesh(target) else [{"type": "URLRewrite", "urlRewrite": {"path": path}}]


def _answer(version: str, more: Mapping[str, str] | None = None) -> Manifest:
    """The answer says which version gave it, as the gateway of one machine does."""
    changed: Manifest = {"set": [{"name": "x-slipway-version", "value": version}]}
    if more:
        changed["add"] = [{"name": name, "value": value} for name, value in more.items()]
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": changed}


def _backend(endpoint: str, version: str) -> Manifest:
    return {"name": name_of(endpoint, version), "kind": "Service", "group": "", "port": 80}


def _version(endpoint: str, service: str) -> str:
    """The version whose service this is; the service's own name for one that somebody else put in."""
    return service.removeprefix(name_of(endpoint, ""))


def _weights(endpoint: str, rule: Mapping[str, Any]) -> dict[str, int]:
    return {
        _version(endpoint, backend["name"]): backend.get("weight", 1)
        for backend in rule.get("backendRefs", [])
        if backend.get("weight", 1)
    }


def _require_accepted(item: Manifest) -> None:
    """What a controller has not taken over is not in effect, and what was before cannot be read any more."""
    generation = item["metadata"].get("generation", 0)
    parents = item.get("status", {}).get("parents", [])
    if not parents:
        raise WorldUnavailable("No controller has taken over the route yet: is there a Gateway of that name?")
    for parent in parents:
        conditions = {condition["type"]: condition for condition in parent.get("conditions", [])}
        for name in ("Accepted", "ResolvedRefs"):
            condition = conditions.get(name, {})
            if condition.get("observedGeneration", 0) < generation:
                raise WorldUnavailable("The route's controller has not taken over the newest split yet.")
            if condition.get("status") != "True":
                said = f"{condition.get('reason', '')} {condition.get('message', '')}".strip()
                raise WorldUnavailable(f"The route is not {name}: {said}")
