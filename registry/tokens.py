"""API tokens: making, revoking and recognising them. The secret itself is shown once and never stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Case, IntegerField, Max, Value, When
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.domain.roles import RANK, parse_scopes
from registry.domain.text import clean_line
from registry.errors import Conflict, Invalid
from registry.identity import attach_token, remember_role
from registry.models import ApiToken

PREFIX = "slw_"
# How often `last_used_at` is refreshed: once a minute keeps authentication free of writes.
_USED_EVERY = timedelta(minutes=1)
_RANK_OF_GROUP = Max(
    Case(
        *(When(user__groups__name=role.value, then=Value(rank)) for role, rank in RANK.items()),
        default=Value(0),
        output_field=IntegerField(),
    )
)
_ROLE_OF_RANK = {rank: role for role, rank in RANK.items()}


def create_token(
    *,
    user: User,
    name: str,
    actor: Actor,
    scopes: Iterable[str] | None = None,
    expires_at: datetime | None = None,
    reason: str = "",
) -> tuple[ApiToken, str]:
    """A new token of `user` and its secret, which nobody can read again.

    The secret carries 256 bits of randomness, so a plain SHA-256 of it is safe to keep and to look up.
    `scopes` None gives the token every permission of its user's role, now and later.
    """
    name = clean_line(name, field="name", maximum=100, required=True)
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("The token would already be expired.", field="expires_at", hint="Choose a later time.")
    parsed = None if scopes is None else [scope.value for scope in parse_scopes(scopes)]
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            prefix=secret[:12],
            digest=_digest(secret),
            scopes=parsed,
            expires_at=expires_at,
        )
        audit.record(
            actor=actor, action="token.create", target=_target(token), after=_summary(token), reason=reason
        )
    return token, secret


def revoke_token(*, token: ApiToken, actor: Actor, reason: str = "") -> None:
    """End the token's life at once; `Conflict` when it was revoked before."""
    with transaction.atomic():
        revoked = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
        if not revoked:
            raise Conflict(f"The token {token.name!r} is revoked already.")
        audit.record(
            actor=actor, action="token.revoke", target=_target(token), before=_summary(token), reason=reason
        )


def authenticate(secret: str) -> tuple[User, ApiToken] | None:
    """The user and token behind a secret, in one indexed query; None for unknown, expired or revoked ones.

    The user object comes back with its role known and its permissions narrowed to the token's scopes.
    """
    if not secret.startswith(PREFIX):
        return None
    token = (
        ApiToken.objects.select_related("user")
        .annotate(rank=_RANK_OF_GROUP)
        .filter(digest=_digest(secret), user__is_active=True)
        .first()
    )
    now = timezone.now()
    if token is None or token.state(now) != "active":
        return None
    user = token.user
    remember_role(user, _ROLE_OF_RANK.get(token.rank))
    attach_token(user, token)
    _touch(token, now)
    return user, token


def _touch(token: ApiToken, now: datetime) -> None:
    if token.last_used_at is None or now - token.last_used_at >= _USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _target(token: ApiToken) -> str:
    return f"tokens/{token.prefix}"


def _summary(token: ApiToken) -> dict[str, object]:
    return {
        "name": token.name,
        "user": token.user.get_username(),
        "scopes": token.scopes,
        "expires_at": token.expires_at,
    }
