"""Clocks that jump: what a row says of the future was written by a clock that was ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rollouts.domain.snapshot import Snapshot

# Clocks of several workers may differ by so much.
TOLERANCE = timedelta(seconds=5)
_MOMENTS = ("step_started_at", "exposed_at", "last_look_at", "unready_since", "rolling_back_since")


def in_its_time(snapshot: Snapshot, now: datetime) -> Snapshot:
    """The snapshot without moments in the future: they are now.

    A hold that began before a clock was set back is then as long as it should be, at least; without this it
    would last until the clock is where it was.
    """
    ahead: dict[str, Any] = {
        name: now for name in _MOMENTS if (at := getattr(snapshot, name)) is not None and at > now + TOLERANCE
    }
    return replace(snapshot, **ahead) if ahead else snapshot
