"""What can go wrong with a rollout, as a user or an adapter meets it."""

from __future__ import annotations

from registry.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unavailable

__all__ = [
    "AlreadyRolling",
    "Conflict",
    "DomainError",
    "Forbidden",
    "Frozen",
    "Invalid",
    "InvalidPlan",
    "LostRace",
    "NotFound",
    "StaleWrite",
    "Unavailable",
    "WorldUnavailable",
    "WrongPhase",
]


class InvalidPlan(Invalid):
    """A plan or its parameters cannot be walked; `field` is the path of the bad value."""

    code = "invalid_plan"


class AlreadyRolling(Conflict):
    """The endpoint has an active rollout."""

    code = "rollout_active"


class Frozen(Conflict):
    """A freeze window is in force; shares may shrink but not grow."""

    code = "frozen"


class WrongPhase(Conflict):
    """The verb does not apply in the rollout's present phase."""

    code = "wrong_phase"


class LostRace(Conflict):
    """Another request changed the rollout first."""

    code = "lost_race"


class WorldUnavailable(Unavailable):
    """A cluster or a router did not answer; nothing is known about the world right now."""

    code = "world_unavailable"


class StaleWrite(Conflict):
    """The world already obeys a newer decision; this older one must not be applied."""

    code = "stale_write"
