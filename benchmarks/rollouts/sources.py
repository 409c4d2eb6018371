"""Metrics and artifacts that cost nothing, so that the tick itself is what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from monitoring.adapters.memory import MemorySource
from monitoring.domain.window import Window
from monitoring.ports import Group, Where
from registry.adapters.memory import MemoryStore

REQUESTS = 10_000.0


class SteadySource(MemorySource):
    """Both versions answer every request well."""

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        return {("1", "ok"): REQUESTS, ("2", "ok"): REQUESTS}


class Anywhere(MemoryStore):
    """Every digest can be fetched."""

    def path_or_uri(self, digest: str) -> str:
        return f"memory:{digest}"


class Switched(MemorySource):
    """Both versions answer well until the file `failing` appears under SLIPWAY_HOME."""

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        failing = (Path(settings.SLIPWAY_HOME) / "failing").exists()
        return {("1", "ok"): REQUESTS, ("2", "error" if failing else "ok"): REQUESTS}


class Files(MemoryStore):
    """Artifacts are files below SLIPWAY_HOME, named by their digest."""

    def path_or_uri(self, digest: str) -> str:
        return str(Path(settings.SLIPWAY_HOME) / "models" / digest.removeprefix("sha256:"))
