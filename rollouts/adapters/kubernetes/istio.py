"""Traffic through an Istio VirtualService and the DestinationRule that names its subsets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Self

from rollouts.adapters.kubernetes.api import DESTINATION_RULE, VIRTUAL_SERVICE, Manifest
from rollouts.adapters.kubernetes.manifests import VERSION
from rollouts.adapters.kubernetes.routes import OURS, RouteWriter, route_object, service
from rollouts.adapters.kubernetes.seen import Namespace, namespace_of
from rollouts.adapters.kubernetes.sticking import cookie_pattern, handed_out, pins, unsticky
from rollouts.adapters.kubernetes.target import Target, Targets, configured
from rollouts.domain.desired import DesiredWorld
from rollouts.domain.observed import RouteEdit
from rollouts.ports import ObservedRoute


class IstioDialect:
    """The rules are in `http`. Istio does not say what it has taken over: what is written counts."""

    kind = VIRTUAL_SERVICE
    rules = "http"

    def frame(self, world: DesiredWorld, target: Target) -> Manifest:
        """In the mesh the endpoint is called by its Service's name, behind a gateway by the target's host."""
        spec: Manifest = {"hosts": [*([target.host] if target.host else []), world.endpoint]}
        if name := target.gateway.get("name"):
            namespace = target.gateway.get("namespace")
            spec["gateways"] = [f"{namespace}/{name}" if namespace else name, "mesh"]
        return spec

    def ours(self, world: DesiredWorld, target: Target) -> list[Manifest]:
        assert world.route is not None
        matched = [_matched(world)] if world.route.preview else []
        return [*matched, *_pinned(world), _split(world, target)]

    def require_in_effect(self, item: Manifest) -> None:
        pass

    def read(self, endpoint: str, item: Manifest) -> ObservedRoute:
        rules = {rule.get("name"): rule for rule in item["spec"].get("http", [])}
        split = rules.get(f"{OURS}split", {})
        weights = {_version(route): route.get("weight", 100) for route in split.get("route", [])}
        mirror = {}
        if "mirror" in split:
            share = split.get("mirrorPercentage", {}).get("value", 100)
            mirror[_version({"destination": split["mirror"]})] = round(share)
        matched = rules.get(f"{OURS}matched", {}).get("route", [])
        return ObservedRoute(
            weights={version: weight for version, weight in weights.items() if weight} or None,
            mirror=mirror,
            preview=next(map(_version, matched), None),
        )


class IstioRouter(RouteWriter):
    """The port `TrafficRouter` on VirtualServices."""

    def __init__(
        self, where: Targets | None = None, find: Callable[[Target], Namespace] = namespace_of
    ) -> None:
        super().__init__(IstioDialect(), where, find)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """For a target of SLIPWAY_TARGETS_FILE: `options` are the fields of `Target`."""
        return cls(configured(options))

    @staticmethod
    def unsticky(options: Mapping[str, Any], by: str, shares: int) -> str:
        """Why it cannot keep users with a version as a plan asks; "" when it can."""
        return unsticky(by, shares)

    def set_route(self, world: DesiredWorld) -> RouteEdit | None:
        """Subsets first, since a route to a subset that is not named yet answers 503."""
        target = self._targets.of(world.environment)
        namespace = self._find(target)
        present = next(iter(namespace.all(DESTINATION_RULE, world.endpoint)), None)
        wanted = destination_rule(world, (present or {}).get("spec", {}))
        if present is None or present["spec"].get("subsets") != wanted["spec"]["subsets"]:
            namespace.api.apply(service(world, target), namespace=namespace.name)
            namespace.write(DESTINATION_RULE, wanted, present)
        return super().set_route(world)


def destination_rule(world: DesiredWorld, present: Mapping[str, Any]) -> Manifest:
    """A subset per version that runs, and behind them those that others added to `present`."""
    subsets = [
        {"name": f"v{release.version}", "labels": {VERSION: release.version}} for release in world.releases
    ]
    subsets += [item for item in present.get("subsets", []) if not re.fullmatch(r"v\d+", item["name"])]
    return route_object(
        DESTINATION_RULE.api, DESTINATION_RULE.kind, world, {"host": world.endpoint, "subsets": subsets}
    )


def _split(world: DesiredWorld, target: Target) -> Manifest:
    assert world.route is not None
    rule: Manifest = {
        "name": f"{OURS}split",
        "match": [_uri(world)],
        "rewrite": {"uri": "/"},
        "route": [
            {
                **_to(world, version),
                "weight": weight,
                "headers": _answer(version, handed_out(world, version, target)),
            }
            for version, weight in world.route.split
        ],
    }
    for version, percent in world.route.mirror:
        rule["mirror"] = _to(world, version)["destination"]
        rule["mirrorPercentage"] = {"value": float(percent)}
    return rule


def _matched(world: DesiredWorld) -> Manifest:
    assert world.route is not None and world.route.preview is not None
    by, name, value, version = world.route.preview
    headers = _cookie(name, value) if by == "cookie" else {name: {"exact": value}}
    return _apart(world, f"{OURS}matched", headers, version)


def _pinned(world: DesiredWorld) -> list[Manifest]:
    """A rule per version for the clients that have met it."""
    return [
        _apart(world, f"{OURS}kept-v{version}", _cookie(name, value), version)
        for version, name, value in pins(world)
    ]


def _apart(world: DesiredWorld, name: str, headers: Manifest, version: str) -> Manifest:
    """Requests with these headers go to that version whatever its share."""
    return {
        "name": name,
        "match": [{**_uri(world), "headers": headers}],
        "rewrite": {"uri": "/"},
        "route": [{**_to(world, version), "headers": _answer(version)}],
    }


def _cookie(name: str, value: str) -> Manifest:
    return {"cookie": {"regex": cookie_pattern(name, value)}}


def _uri(world: DesiredWorld) -> Manifest:
    return {"uri": {"prefix": f"/{world.endpoint}/"}}


def _to(world: DesiredWorld, version: str) -> Manifest:
    return {"destination": {"host": world.endpoint, "subset": f"v{version}", "port": {"number": 80}}}


def _answer(version: str, more: Mapping[str, str] | None = None) -> Manifest:
    added = {"add": dict(more)} if more else {}
    return {"response": {"set": {"x-slipway-version": version}, **added}}


def _version(route: Mapping[str, Any]) -> str:
    """The version whose subset this is; the host of a destination that somebody else put in without one."""
    destination = route["destination"]
    return str(destination.get("subset", destination["host"])).removeprefix("v")
