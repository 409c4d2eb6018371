"""Who is asking, and whether they may: the one place that answers, for every door of every app.

Ask with the model the deed is about (`require(user, Permission.REGISTER, model)`), or without one for deeds
on everything. Lists ask `require_anywhere` and show what `visible` lets through.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Q
from django.http import HttpRequest

from registry.domain.access import (
    EVERYTHING,
    UNLIMITED,
    Grant,
    Limits,
    Scope,
    effective_role,
    permissions_anywhere,
    permissions_at,
    role_at,
)
from registry.domain.actor import Actor
from registry.domain.roles import PERMISSIONS, Permission, Role
from registry.errors import Forbidden, NotFound
from registry.models import ApiToken, Model, RoleGrant

AnyUser = User | AnonymousUser | AbstractBaseUser
Place = Model | Scope | None

# Remembered on the user object, so one request asks the database once.
_GRANTS = "_slipway_grants"
_TOKEN = "_slipway_token"


def grants_of(user: AnyUser) -> tuple[Grant, ...]:
    """The user's roles and where they hold; superusers are admins, anonymous and inactive users have none."""
    if not user.is_authenticated or not user.is_active or not isinstance(user, User):
        return ()
    if user.is_superuser:
        return (Grant(Role.ADMIN),)
    if not hasattr(user, _GRANTS):
        rows = RoleGrant.objects.filter(user=user).values_list("role", "team", "model_id")
        remember_grants(user, tuple(Grant(Role(role), Scope(team, model)) for role, team, model in rows))
    held: tuple[Grant, ...] = getattr(user, _GRANTS)
    return held


def remember_grants(user: User, grants: tuple[Grant, ...]) -> None:
    """Fix the roles of this user object for the rest of the request."""
    setattr(user, _GRANTS, grants)


def attach_token(user: User, token: ApiToken) -> None:
    """Narrow this user object to what the token allows."""
    setattr(user, _TOKEN, token)


def token_of(user: Any) -> ApiToken | None:
    """The token this user object was authenticated with, if any."""
    token: ApiToken | None = getattr(user, _TOKEN, None)
    return token


def limits_of(user: AnyUser) -> Limits:
    """How the token of this request narrows what its user may do."""
    token = token_of(user)
    return UNLIMITED if token is None else token.limits


def role_of(user: AnyUser, on: Place = None) -> Role | None:
    """The strongest role the user has on everything, or on that model, as far as the token lets it."""
    return effective_role(grants_of(user), _place(on), limits_of(user))


def permissions_of(user: AnyUser, on: Place = None) -> frozenset[Permission]:
    """Everything the user may do in this request, on everything or on that model."""
    return permissions_at(grants_of(user), _place(on), limits_of(user))


def may(user: AnyUser, permission: Permission, on: Place = None) -> bool:
    """Whether the user holds the permission on everything, or on that model."""
    return permission in permissions_of(user, on)


def may_anywhere(user: AnyUser, permission: Permission) -> bool:
    """Whether there is anything the user could hold the permission on."""
    return permission in permissions_anywhere(grants_of(user), limits_of(user))


def require(user: AnyUser, permission: Permission, on: Place = None) -> None:
    """`Forbidden`, saying what is missing, unless the user holds the permission there.

    A model that the user may not even view is `NotFound`, as one that does not exist.
    """
    held = permissions_of(user, on)
    if permission in held:
        return
    if isinstance(on, Model) and Permission.VIEW not in held and may_anywhere(user, Permission.VIEW):
        raise NotFound(f"There is no model named {ascii(on.name[:128])}.")
    raise _refusal(user, permission, on)


def require_anywhere(user: AnyUser, permission: Permission) -> None:
    """`Forbidden` unless there is anything the user could hold the permission on."""
    if not may_anywhere(user, permission):
        raise _refusal(user, permission, None)


def require_move(user: AnyUser, model: Model, team: str) -> None:
    """`Forbidden` unless the model is the team's already or the user administers it: whoever moves a model to
    another team decides who may do what with it."""
    if team != model.owner_team:
        require(user, Permission.ADMINISTER, model)


def scopes_with(user: AnyUser, permission: Permission) -> tuple[Scope, ...]:
    """Where the user's roles carry the permission; only everything when one of them does, () for nowhere.

    A token's limit to a team or model is not applied here.
    """
    limits = limits_of(user)
    if limits.scopes is not None and permission not in limits.scopes:
        return ()
    scopes = {grant.scope for grant in grants_of(user) if permission in PERMISSIONS[grant.role]}
    return (EVERYTHING,) if EVERYTHING in scopes else tuple(scopes)


def visible(user: AnyUser, prefix: str = "", permission: Permission = Permission.VIEW) -> Q:
    """A filter for the models the user may view (or whatever `permission` says).

    `prefix` leads from the rows that are filtered to their model, such as `endpoint__model__`.
    """
    reached = Q(pk__in=())
    for scope in scopes_with(user, permission):
        reached = Q() if scope.everything else reached | _within(scope, prefix)
    return reached & _within(limits_of(user).scope, prefix)


def seen_by(user: AnyUser) -> Hashable:
    """What `visible` depends on: equal for users who may view the same."""
    return frozenset(scopes_with(user, Permission.VIEW)), limits_of(user).scope


def governed(user: AnyUser) -> Q:
    """A filter for the grants the user may give and take: those within what the user administers."""
    scopes = scopes_with(user, Permission.ADMINISTER)
    teams = [scope.team for scope in scopes if scope.team]
    on_team = Q() if EVERYTHING in scopes else Q(team__in=teams)
    limit = limits_of(user).scope
    if limit.everything:
        return on_team if EVERYTHING in scopes else on_team | visible(user, "model__", Permission.ADMINISTER)
    on_limit = on_team & Q(team=limit.team) if limit.team else Q(pk__in=())
    return on_limit | visible(user, "model__", Permission.ADMINISTER)


def actor_for(request: HttpRequest | Any) -> Actor:
    """The author of what this request changes; accepts Django's and DRF's requests."""
    user, token = request.user, token_of(request.user)
    return Actor(
        kind="token" if token else "user",
        name=user.get_username(),
        id=user.pk,
        via=token.prefix if token else "",
        address=client_address(request.META),
    )


def client_address(meta: Any) -> str:
    """The address of the client: the peer's, or behind `SLIPWAY_PROXIES` proxies the one that the outermost
    of them saw; whatever else a client writes into the header is not believed."""
    proxies: int = settings.SLIPWAY_PROXIES
    seen = [part.strip() for part in meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if proxies and len(seen) >= proxies:
        return str(seen[-proxies])[:64]
    return str(meta.get("REMOTE_ADDR", "") or "")


def grant(user: User, role: Role | None) -> None:
    """Give the user exactly this role on everything (None: no role), without a trace: for the first start and
    for tests. People grant through `registry.services.access`."""
    RoleGrant.objects.filter(user=user).delete()
    if role is not None:
        RoleGrant.objects.create(user=user, role=role.value)
    if hasattr(user, _GRANTS):
        delattr(user, _GRANTS)


def _place(on: Place) -> Scope:
    if isinstance(on, Model):
        return Scope(on.owner_team, on.pk)
    return EVERYTHING if on is None else on


def _within(scope: Scope, prefix: str) -> Q:
    if scope.model is not None:
        return Q(**{f"{prefix}pk": scope.model})
    return Q(**{f"{prefix}owner_team": scope.team}) if scope.team else Q()


def _refusal(user: AnyUser, permission: Permission, on: Place) -> Forbidden:
    grants, place = grants_of(user), _place(on)
    role = role_at(grants, place)
    if role and permission in PERMISSIONS[role]:
        held = "This token does not include it: see its scopes and what it is limited to"
    elif role:
        held = f"Your role is {role.display.lower()}"
    elif grants:
        held = "Your roles do not reach that far"
    else:
        held = "You have no role"
    return Forbidden(
        f"This needs the permission {permission.value!r}. {held}.", hint="Ask an administrator for access."
    )
