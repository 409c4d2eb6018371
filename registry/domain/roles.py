"""Who may do what: roles, the permissions they carry, and the scopes that narrow a token."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from registry.domain.names import CHAMPION
from registry.errors import Invalid


class Role(StrEnum):
    """What somebody is trusted with; where it holds is said by a grant (`registry.domain.access`)."""

    VIEWER = "viewer"
    ENGINEER = "engineer"
    RELEASE_MANAGER = "release_manager"
    ADMIN = "admin"

    @property
    def display(self) -> str:
        """The role as people read it."""
        return self.value.replace("_", " ").capitalize()


class Permission(StrEnum):
    """One kind of deed. Doors ask for a permission, never for a role."""

    VIEW = "view"
    REGISTER = "register"
    INGEST = "ingest"
    START_ROLLOUT = "start_rollout"
    CONTROL_ROLLOUT = "control_rollout"
    PROMOTE = "promote"
    ADMINISTER = "administer"


_VIEWER = frozenset({Permission.VIEW})
_ENGINEER = _VIEWER | {
    Permission.REGISTER, Permission.INGEST, Permission.START_ROLLOUT, Permission.CONTROL_ROLLOUT,
}  # fmt: skip
_RELEASE_MANAGER = _ENGINEER | {Permission.PROMOTE}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.ENGINEER: _ENGINEER,
    Role.RELEASE_MANAGER: _RELEASE_MANAGER,
    Role.ADMIN: frozenset(Permission),
}

# From least to most: a user in several groups holds the strongest of them.
RANK: dict[Role, int] = {role: rank for rank, role in enumerate(Role, start=1)}


def parse_role(value: Any) -> Role:
    """The role of that name; `Invalid` names the known ones."""
    if isinstance(value, str) and value in RANK:
        return Role(value)
    raise Invalid(
        f"{ascii(value)[:40]} is not a role.", field="role", hint=f"Known roles: {', '.join(Role)}."
    )


def strongest(names: Iterable[str]) -> Role | None:
    """The strongest role among group names; names that are no role are ignored."""
    held = [Role(name) for name in names if name in RANK]
    return max(held, key=RANK.__getitem__, default=None)


def permissions(role: Role | None, scopes: Iterable[str] | None = None) -> frozenset[Permission]:
    """What a role may do, narrowed by a token's scopes (None: not narrowed)."""
    if role is None:
        return frozenset()
    granted = PERMISSIONS[role]
    return granted if scopes is None else granted & {Permission(s) for s in scopes if s in set(Permission)}


# Scopes that stand for several permissions; a role's name stands for all of its own.
BUNDLES: dict[str, frozenset[Permission]] = {
    "read": _VIEWER,
    "write": _VIEWER | {Permission.REGISTER},
    "rollouts": _VIEWER | {Permission.START_ROLLOUT, Permission.CONTROL_ROLLOUT},
    **{role.value: granted for role, granted in PERMISSIONS.items()},
}


def parse_scopes(names: Iterable[str]) -> tuple[Permission, ...]:
    """Scopes as permissions in their canonical order, without repeats; `Invalid` names the unknown one.

    A scope is a permission or one of `BUNDLES`.
    """
    wanted = set(names)
    known = [*(p.value for p in Permission), *BUNDLES]
    unknown = sorted(wanted.difference(known))
    if unknown:
        raise Invalid(
            f"{unknown[0]!r} is not a scope.", field="scopes", hint=f"Known scopes: {', '.join(known)}."
        )
    meant = frozenset().union(*(BUNDLES.get(name, {name}) for name in wanted))
    return tuple(p for p in Permission if p in meant)


def alias_permission(name: str) -> Permission:
    """What moving an alias takes: naming the champion is a release decision, other names are bookkeeping."""
    return Permission.PROMOTE if name == CHAMPION else Permission.REGISTER
