"""What the gateway is applying now: routes and ready instances, re-read whenever a file changes."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.files import BadFile, FileWatch, FolderWatch
from deploy.gateway.instances import Instance, Ready, Rotation, parse_status
from deploy.gateway.routes import Route, parse_route

log = logging.getLogger("slipway.gateway")
INTERVAL_S = 0.05
TROUBLED_INTERVAL_S = 1.0


def _no_one(route: Route) -> None:
    """The default listener."""


@dataclass
class Table:
    """Routes and ready instances under one SLIPWAY_HOME.

    A file that does not parse is reported in `errors` and in the log, and what was applied before stays.
    """

    home: Path
    on_route: Callable[[Route], None] = _no_one
    routes: dict[str, Route] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    ready: Ready = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folder = FolderWatch(self.home / "gateway" / "routes")
        self._status = FileWatch(self.home / "fleet" / "status.json")
        self._rotation = Rotation()

    def refresh(self) -> None:
        """Apply what changed in the files since the last call."""
        for endpoint, data in self._folder.changes():
            self._apply(endpoint, data)
        status = self._status.changed()
        if status is not None:
            try:
                self.ready = parse_status(status)
            except BadFile as error:
                log.error("fleet/status.json: %s; keeping the instances known before", error)

    def _apply(self, endpoint: str, data: bytes | None) -> None:
        if data is None:
            self.routes.pop(endpoint, None)
            self.errors.pop(endpoint, None)
            log.info("route %s: removed", endpoint)
            return
        try:
            route = parse_route(data, endpoint)
        except BadFile as error:
            self.errors[endpoint] = str(error)
            log.error("gateway/routes/%s.json: %s; the route before it stays", endpoint, error)
            return
        self.errors.pop(endpoint, None)
        self.routes[endpoint] = route
        self.on_route(route)
        log.info("route %s: %s", endpoint, ", ".join(f"{s.version}={s.weight}%" for s in route.split))

    async def follow(self, interval: float = INTERVAL_S) -> None:
        """Refresh for ever. A folder that cannot be read is logged and tried again."""
        while True:
            try:
                self.refresh()
                await asyncio.sleep(interval)
            except OSError as error:
                log.error("cannot read below %s: %s; trying again", self.home, error)
                await asyncio.sleep(TROUBLED_INTERVAL_S)

    def pick(self, endpoint: str, version: str) -> Instance | None:
        """The ready instance of `version` whose turn it is, if any."""
        return self._rotation.next(self.ready, endpoint, version)

    def to_dict(self) -> dict[str, Any]:
        """The document of `/-/routes`: what is applied, and what could not be."""
        names = sorted(self.routes.keys() | self.errors.keys())
        return {"endpoints": {name: self._describe(name) for name in names}}

    def _describe(self, endpoint: str) -> dict[str, Any]:
        route = self.routes.get(endpoint)
        shape = route.to_dict() if route else {"split": [], "mirror": [], "matches": [], "sticky": None}
        mine = {version: len(found) for (name, version), found in self.ready.items() if name == endpoint}
        named = dict.fromkeys(sorted(route.versions), 0) if route else {}
        return {**shape, "ready": named | mine, "error": self.errors.get(endpoint)}
