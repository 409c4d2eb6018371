"""Where a version stands between its registration and its use."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """`ready` and `refused` are final; only a ready version may be named by an alias or rolled out."""

    PENDING = "pending"
    VERIFYING = "verifying"
    INSPECTING = "inspecting"
    READY = "ready"
    REFUSED = "refused"


# In the order in which a version passes them.
UNFINISHED: tuple[State, ...] = (State.PENDING, State.VERIFYING, State.INSPECTING)
