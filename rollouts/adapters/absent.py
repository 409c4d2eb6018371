"""A world that cannot be reached, and says why: the target is not configured, or wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from rollouts.domain.desired import DesiredWorld
from rollouts.domain.observed import RouteEdit
from rollouts.domain.room import Room
from rollouts.domain.snapshot import WorkloadStatus
from rollouts.errors import WorldUnavailable
from rollouts.ports import ObservedRoute


class Absent:
    """Both ports; every call raises WorldUnavailable."""

    def __init__(self, why: str) -> None:
        self._why = why

    def apply(self, world: DesiredWorld, artifacts: Mapping[str, str]) -> None:
        self._refuse()

    def observe(self, endpoint: str) -> Mapping[str, WorkloadStatus]:
        self._refuse()

    def room(self, environment: str) -> Room | None:
        """Nobody knows."""
        return None

    def set_route(self, world: DesiredWorld) -> RouteEdit | None:
        self._refuse()

    def observed_route(self, endpoint: str) -> ObservedRoute:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise WorldUnavailable(self._why)
