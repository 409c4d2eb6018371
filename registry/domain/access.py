"""Where a role holds: on everything, on the models of a team, or on one model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.domain.roles import PERMISSIONS, RANK, Permission, Role, permissions


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything (both empty), a team's models, or the model of that key.

    As the place of a deed on one model it has both: the model's key and the team that owns it.
    """

    team: str = ""
    model: int | None = None

    @property
    def everything(self) -> bool:
        """Whether it is not narrowed at all."""
        return not self.team and self.model is None

    def covers(self, place: Scope) -> bool:
        """Whether what holds on this scope holds at `place`."""
        if self.model is not None:
            return self.model == place.model
        return not self.team or self.team == place.team


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, and the scope it holds on."""

    role: Role
    scope: Scope = EVERYTHING


@dataclass(frozen=True, slots=True)
class Limits:
    """How a token narrows what its user may do; `scopes` None and `scope` everything: not at all."""

    scopes: frozenset[str] | None = None
    scope: Scope = EVERYTHING

    def cover(self, other: Limits) -> bool:
        """Whether a token of these limits is at least as wide as one of the others."""
        scopes = self.scopes is None or (other.scopes is not None and other.scopes <= self.scopes)
        return scopes and (self.scope == EVERYTHING or self.scope == other.scope)


UNLIMITED = Limits()


def role_at(grants: Iterable[Grant], place: Scope) -> Role | None:
    """The strongest role that holds at `place`."""
    held = [grant.role for grant in grants if grant.scope.covers(place)]
    return max(held, key=RANK.__getitem__, default=None)


def permissions_at(
    grants: Iterable[Grant], place: Scope, limits: Limits = UNLIMITED
) -> frozenset[Permission]:
    """Everything that may be done at `place`."""
    if not limits.scope.covers(place):
        return frozenset()
    return permissions(role_at(grants, place), limits.scopes)


def permissions_anywhere(grants: Iterable[Grant], limits: Limits = UNLIMITED) -> frozenset[Permission]:
    """Everything that may be done on something, whatever it is; lists show the something only."""
    roles = {grant.role for grant in grants}
    return frozenset().union(*(permissions(role, limits.scopes) for role in roles))


def effective_role(grants: Iterable[Grant], place: Scope, limits: Limits = UNLIMITED) -> Role | None:
    """The strongest role whose every permission may be used at `place`: a token of an administrator that may
    only view is a viewer."""
    held = role_at(grants, place)
    if held is None or limits == UNLIMITED:
        return held
    usable = permissions_at(grants, place, limits)
    fitting = [role for role in Role if RANK[role] <= RANK[held] and PERMISSIONS[role] <= usable]
    return max(fitting, key=RANK.__getitem__, default=None)
