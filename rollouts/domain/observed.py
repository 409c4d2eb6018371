"""What a tick saw, as the endpoint's row keeps it for pages and callers. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollouts.domain.snapshot import World

# So long the page says that somebody else had changed the route.
EDIT_SHOWN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class RouteEdit:
    """What somebody else had made of a route before it was asserted again.

    weights, mirror, preview: as observed; `by`: who it was, in the words of whoever keeps the route.
    """

    weights: Mapping[str, int] | None
    mirror: Mapping[str, int]
    preview: str | None
    by: str


def document(world: World) -> dict[str, Any]:
    """The world as JSON."""
    return {
        "workloads": {
            version: {
                "ready": status.ready,
                "desired": status.desired,
                "restarts": status.restarts,
                "failed": status.failed,
                "message": status.message,
            }
            for version, status in world.workloads.items()
        },
        "weights": dict(world.weights) if world.weights is not None else None,
        "mirror": dict(world.mirror),
        "preview": world.preview,
        "problem": world.problem,
        **({"room": world.room} if world.room else {}),
    }


def drift(edit: RouteEdit, now: datetime) -> dict[str, Any]:
    """The edit as JSON, with the moment in which it was found and undone."""
    return {
        "at": now.isoformat(),
        "by": edit.by,
        "weights": dict(edit.weights) if edit.weights is not None else None,
        "mirror": dict(edit.mirror),
        "preview": edit.preview,
    }


def still_shown(before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The `drift` of the observation before, while it is to be seen."""
    found = before.get("drift")
    if found and now - datetime.fromisoformat(found["at"]) <= EDIT_SHOWN:
        return {"drift": found}
    return {}
