"""Who is asking, and whether they may."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, User
from django.http import HttpRequest

from registry.domain.actor import Actor
from registry.domain.roles import Permission, Role, permissions, strongest
from registry.errors import Forbidden
from registry.models import ApiToken

AnyUser = User | AnonymousUser | AbstractBaseUser

# Remembered on the user object, so one request asks the database once.
_ROLE = "_slipway_role"
_TOKEN = "_slipway_token"


def role_of(user: AnyUser) -> Role | None:
    """The user's strongest role; superusers are admins, anonymous and inactive users have none."""
    if not user.is_authenticated or not user.is_active or not isinstance(user, User):
        return None
    if user.is_superuser:
        return Role.ADMIN
    if not hasattr(user, _ROLE):
        remember_role(user, strongest(user.groups.values_list("name", flat=True)))
    role: Role | None = getattr(user, _ROLE)
    return role


def remember_role(user: User, role: Role | None) -> None:
    """Fix the role of this user object for the rest of the request."""
    setattr(user, _ROLE, role)


def attach_token(user: User, token: ApiToken) -> None:
    """Narrow this user object to what the token's scopes allow."""
    setattr(user, _TOKEN, token)


def token_of(user: Any) -> ApiToken | None:
    """The token this user object was authenticated with, if any."""
    token: ApiToken | None = getattr(user, _TOKEN, None)
    return token


def permissions_of(user: AnyUser) -> frozenset[Permission]:
    """Everything the user may do in this request."""
    token = token_of(user)
    return permissions(role_of(user), None if token is None else token.scopes)


def may(user: AnyUser, permission: Permission) -> bool:
    """Whether the user holds the permission."""
    return permission in permissions_of(user)


def require(user: AnyUser, permission: Permission) -> None:
    """`Forbidden`, saying what is missing, unless the user holds the permission."""
    if may(user, permission):
        return
    role = role_of(user)
    held = f"Your role is {role.display.lower()}" if role else "You have no role"
    if role and permission in permissions(role):
        held = "This token's scopes do not include it"
    raise Forbidden(
        f"This needs the permission {permission.value!r}. {held}.", hint="Ask an administrator for access."
    )


def actor_for(request: HttpRequest | Any) -> Actor:
    """The author of what this request changes; accepts Django's and DRF's requests."""
    user, token = request.user, token_of(request.user)
    return Actor(
        kind="token" if token else "user",
        name=user.get_username(),
        id=user.pk,
        via=token.prefix if token else "",
        address=request.META.get("REMOTE_ADDR", "") or "",
    )


def grant(user: User, role: Role | None) -> None:
    """Give the user exactly this role (None: no role); other groups are left alone."""
    user.groups.remove(*Group.objects.filter(name__in=list(Role)))
    if role is not None:
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    if hasattr(user, _ROLE):
        delattr(user, _ROLE)
