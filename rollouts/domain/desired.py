"""The desired world of an endpoint: a pure function of what is recorded, asserted anew at every tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rollouts.domain.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """What is deployed: one version pinned to its digest, with the histograms its servers expose.

    signature: the version's inputs and outputs, for servers that must be told them. format, folder: what the
    artifact is.
    """

    version: str
    digest: str
    replicas: int
    histograms: Mapping[str, Any] = field(default_factory=dict)
    signature: Mapping[str, Any] = field(default_factory=dict)
    format: str = "onnx"
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """How an endpoint's traffic is split.

    split: (version, percent) in bucket order, the candidate first, so that a user who met the
    candidate keeps meeting it while its share grows; sums to 100. mirror: percent by version. preview:
    (by, name, value, version): requests whose header or cookie has that value go to that version. sticky:
    (by, name): the header or cookie that keeps a user with a version; None: the router's own, if it has one.
    """

    split: tuple[tuple[str, int], ...]
    mirror: tuple[tuple[str, int], ...] = ()
    preview: tuple[str, str, str, str] | None = None
    sticky: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DesiredWorld:
    """Everything that should run for an endpoint; what is not named here should not run.

    generation: rises with every recorded decision; adapters refuse to go back (a worker that was
    slow to apply an old decision must not undo a newer one). environment: says on which cluster.
    """

    endpoint: str
    model: str
    generation: int
    releases: tuple[ReleaseSpec, ...]
    route: Route | None
    environment: str = ""


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint as its row records it; `previous` only while it is kept warm."""

    name: str
    model: str
    generation: int
    stable: ReleaseSpec
    previous: ReleaseSpec | None = None
    candidate: ReleaseSpec | None = None
    stable_ready: bool = True
    environment: str = ""


def desired_world(endpoint: EndpointState, rollout: Snapshot | None) -> DesiredWorld:
    """Servers and split for an endpoint, with or without an active rollout.

    Without a surge the candidate's servers take the place of as many stable ones while the rollout lasts.
    Until a first server of the stable version is ready there is no route: nothing could answer.
    """
    candidate = endpoint.candidate if rollout and rollout.wants_servers else None
    stable = endpoint.stable
    if rollout and rollout.plan.no_surge and candidate:
        stable = replace(stable, replicas=max(1, stable.replicas - candidate.replicas))
    releases = {stable.version: stable}
    for release in (endpoint.previous, candidate):
        if release is not None:
            releases.setdefault(release.version, release)
    return DesiredWorld(
        endpoint=endpoint.name,
        model=endpoint.model,
        generation=endpoint.generation,
        releases=tuple(releases.values()),
        route=_route(endpoint, rollout) if endpoint.stable_ready else None,
        environment=endpoint.environment,
    )


def _route(endpoint: EndpointState, rollout: Snapshot | None) -> Route:
    stable = endpoint.stable.version
    if rollout is None:
        return Route(split=((stable, 100),))
    shares = ((rollout.candidate, rollout.weight), (stable, 100 - rollout.weight))
    mirror = ((rollout.candidate, rollout.mirror),) if rollout.mirror else ()
    matching = rollout.match
    sticky = rollout.plan.sticky
    return Route(
        split=tuple(share for share in shares if share[1]),
        mirror=mirror,
        preview=(*matching.match, rollout.candidate) if matching else None,
        sticky=next(iter(sticky.items())) if sticky else None,
    )
