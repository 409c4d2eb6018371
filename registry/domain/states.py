"""Where a version stands between its registration and its use."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """`ready`, `refused` and `recorded` are final; only a ready version may be rolled out.

    A recorded one keeps no content here: its files are elsewhere, or are nothing that can be served.
    """

    PENDING = "pending"
    VERIFYING = "verifying"
    INSPECTING = "inspecting"
    READY = "ready"
    REFUSED = "refused"
    RECORDED = "recorded"


# In the order in which a version passes them.
UNFINISHED: tuple[State, ...] = (State.PENDING, State.VERIFYING, State.INSPECTING)
