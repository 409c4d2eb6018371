"""What rollouts need of the world. Adapters name the vendors; this page names none.

Both ports are level-triggered: they are given the whole desired state of one endpoint, again and
again, and must change nothing when it already holds. Both raise `WorldUnavailable` when the other
side does not answer, and `StaleWrite` when the world already obeys a newer `generation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rollouts.domain.desired import DesiredWorld
from rollouts.domain.observed import RouteEdit
from rollouts.domain.room import Room
from rollouts.domain.snapshot import WorkloadStatus


@dataclass(frozen=True, slots=True)
class ObservedRoute:
    """The split a router applies right now, in percent by version; None while it has no route.

    preview: the version that requests with the preview header reach.
    """

    weights: Mapping[str, int] | None
    mirror: Mapping[str, int]
    preview: str | None = None


class Cluster(Protocol):
    """Runs a version's servers."""

    def apply(self, world: DesiredWorld, artifacts: Mapping[str, str]) -> None:
        """Make exactly `world.releases` run for the endpoint.

        artifacts: where each digest can be fetched from (a path or a URI that servers understand).
        """

    def observe(self, endpoint: str) -> Mapping[str, WorkloadStatus]:
        """The endpoint's servers by version, as they are now."""

    def room(self, environment: str) -> Room | None:
        """How many more servers fit; None where that is nobody's question."""


class TrafficRouter(Protocol):
    """Splits an endpoint's traffic. Writing and reading are apart: a write is not yet an effect."""

    def set_route(self, world: DesiredWorld) -> RouteEdit | None:
        """Ask for `world.route`; returns before it is in effect.

        Returns what somebody else had made of the route since this very decision was written to it, where
        the router can tell; None otherwise.
        """

    def observed_route(self, endpoint: str) -> ObservedRoute:
        """What is in effect."""
