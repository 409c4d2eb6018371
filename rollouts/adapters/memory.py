"""A world in memory that obeys at once, or as slowly and badly as it is told to: for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rollouts.domain.desired import DesiredWorld
from rollouts.domain.observed import RouteEdit
from rollouts.domain.room import Room
from rollouts.domain.snapshot import WorkloadStatus
from rollouts.errors import StaleWrite, WorldUnavailable
from rollouts.ports import ObservedRoute


@dataclass
class MemoryCluster:
    """Every release is ready as soon as it is applied, unless `override` says otherwise."""

    worlds: dict[str, DesiredWorld] = field(default_factory=dict)
    override: dict[tuple[str, str], WorkloadStatus] = field(default_factory=dict)
    down: bool = False
    space: Room | None = None

    def apply(self, world: DesiredWorld, artifacts: Mapping[str, str]) -> None:
        _check(self.down, self.worlds.get(world.endpoint), world)
        missing = [release.digest for release in world.releases if release.digest not in artifacts]
        assert not missing, f"no place to fetch {missing}"
        self.worlds[world.endpoint] = world

    def observe(self, endpoint: str) -> Mapping[str, WorkloadStatus]:
        if self.down:
            raise WorldUnavailable("The cluster is down.")
        world = self.worlds.get(endpoint)
        return {
            release.version: self.override.get(
                (endpoint, release.version), WorkloadStatus(ready=release.replicas, desired=release.replicas)
            )
            for release in (world.releases if world else ())
        }

    def room(self, environment: str) -> Room | None:
        return self.space


@dataclass
class MemoryRouter:
    """Applies a route at once unless `frozen`; keeps every route it was given, for assertions.

    edit: what the next write finds that somebody else had made of the route.
    """

    worlds: dict[str, DesiredWorld] = field(default_factory=dict)
    effective: dict[str, DesiredWorld] = field(default_factory=dict)
    history: list[DesiredWorld] = field(default_factory=list)
    edit: RouteEdit | None = None
    frozen: bool = False
    down: bool = False

    def set_route(self, world: DesiredWorld) -> RouteEdit | None:
        _check(self.down, self.worlds.get(world.endpoint), world)
        edit, self.edit = self.edit, None
        if self.worlds.get(world.endpoint) != world:
            self.history.append(world)
        self.worlds[world.endpoint] = world
        if not self.frozen:
            self.effective[world.endpoint] = world
        return edit

    def observed_route(self, endpoint: str) -> ObservedRoute:
        if self.down:
            raise WorldUnavailable("The router is down.")
        world = self.effective.get(endpoint)
        if world is None or world.route is None:
            return ObservedRoute(weights=None, mirror={})
        preview = world.route.preview
        return ObservedRoute(
            weights=dict(world.route.split),
            mirror=dict(world.route.mirror),
            preview=preview[-1] if preview else None,
        )


def _check(down: bool, present: DesiredWorld | None, world: DesiredWorld) -> None:
    if down:
        raise WorldUnavailable("The world is down.")
    if present is not None and present.generation > world.generation:
        raise StaleWrite(f"Generation {present.generation} is in effect.")
