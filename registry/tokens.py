"""API tokens: making, revoking and recognising them. The secret itself is shown once and never stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Q
from django.utils import timezone

from registry import audit
from registry.domain.access import EVERYTHING, Grant, Limits, Scope
from registry.domain.actor import Actor
from registry.domain.roles import Role, parse_scopes
from registry.domain.text import clean_line
from registry.errors import Conflict, Forbidden, Invalid
from registry.identity import attach_token, remember_grants
from registry.models import ApiToken
from registry.prepared import Prepared

PREFIX = "slw_"
# How often `last_used_at` is refreshed: once a minute keeps authentication free of writes.
_USED_EVERY = timedelta(minutes=1)
_TOKEN_COLUMNS = [field.attname for field in ApiToken._meta.concrete_fields]
_USER_COLUMNS = [field.attname for field in User._meta.concrete_fields if field.name != "password"]
# One row per role of the user, or one row without a role.
_BY_DIGEST = Prepared(
    lambda digest: (
        ApiToken.objects.filter(digest=digest, user__is_active=True)
        .order_by()
        .values_list(
            *_TOKEN_COLUMNS,
            *(f"user__{name}" for name in _USER_COLUMNS),
            "user__role_grants__role",
            "user__role_grants__team",
            "user__role_grants__model_id",
        )
    ),
    digest="@digest",
)


def create_token(
    *,
    user: User,
    name: str,
    actor: Actor,
    scopes: Iterable[str] | None = None,
    scope: Scope = EVERYTHING,
    expires_at: datetime | None = None,
    maker: ApiToken | None = None,
    reason: str = "",
) -> tuple[ApiToken, str]:
    """A new token of `user` and its secret, which nobody can read again.

    The secret carries 256 bits of randomness, so a plain SHA-256 of it is safe to keep and to look up.
    `scopes` None gives the token every permission of its user's roles, now and later; `scope` narrows it to a
    team or a model. A token made with another one (`maker`) is never wider and never outlives it.
    """
    name = clean_line(name, field="name", maximum=100, required=True)
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("The token would already be expired.", field="expires_at", hint="Choose a later time.")
    parsed = None if scopes is None else [item.value for item in parse_scopes(scopes)]
    if maker is not None:
        _check_narrower(maker, Limits(None if parsed is None else frozenset(parsed), scope), expires_at)
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            prefix=secret[:12],
            digest=digest_of(secret),
            scopes=parsed,
            team=scope.team,
            model_id=scope.model,
            created_by=actor.name,
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


def check_reach(maker: ApiToken | None, token: ApiToken) -> None:
    """`Forbidden` when a request with the token `maker` would end a wider one of the same user."""
    if maker is not None and maker.pk != token.pk and not maker.limits.cover(token.limits):
        raise Forbidden(
            f"A token cannot revoke one that may do more, such as {token.name!r}.",
            hint="Sign in, or use that token itself.",
        )


def authenticate(secret: str) -> tuple[User, ApiToken] | None:
    """The user and token behind a secret, in one indexed query; None for unknown, expired or revoked ones.

    The user object comes back with its roles known and its permissions narrowed to the token's limits.
    """
    if not secret.startswith(PREFIX):
        return None
    rows = _BY_DIGEST.rows(digest=digest_of(secret))
    now = timezone.now()
    if not rows:
        return None
    at, roles = len(_TOKEN_COLUMNS), len(_TOKEN_COLUMNS) + len(_USER_COLUMNS)
    token = ApiToken.from_db(DEFAULT_DB_ALIAS, _TOKEN_COLUMNS, rows[0][:at])
    if token.state(now) != "active":
        return None
    user = token.user = User.from_db(DEFAULT_DB_ALIAS, _USER_COLUMNS, rows[0][at:roles])
    remember_grants(user, tuple(_grant(*row[roles:]) for row in rows if row[roles]))
    attach_token(user, token)
    _touch(token, now)
    return user, token


def digest_of(secret: str) -> str:
    """What is kept of a secret: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _grant(role: str, team: str, model: int | None) -> Grant:
    return Grant(Role(role), Scope(team, model))


def _check_narrower(maker: ApiToken, wanted: Limits, expires_at: datetime | None) -> None:
    """`Forbidden` when a token would be wider than the one it is made with."""
    own = maker.limits
    if own.scopes is not None and (wanted.scopes is None or not wanted.scopes <= own.scopes):
        raise Forbidden(
            "A token made with a token cannot have more scopes.",
            field="scopes",
            hint=f"Yours: {maker.scopes}.",
        )
    if own.scope != EVERYTHING and wanted.scope != own.scope:
        raise Forbidden("A token made with a token is limited to the same team or model.", field="limit")
    if maker.expires_at is not None and (expires_at is None or expires_at > maker.expires_at):
        raise Forbidden(
            "A token made with a token cannot outlive it.",
            field="expires_at",
            hint=f"At most {maker.expires_at.isoformat()}.",
        )


def _touch(token: ApiToken, now: datetime) -> None:
    """Note the use; of many requests at once one writes."""
    if token.last_used_at is None or now - token.last_used_at >= _USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - _USED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def _target(token: ApiToken) -> str:
    return f"tokens/{token.prefix}"


def _summary(token: ApiToken) -> dict[str, object]:
    return {
        "name": token.name,
        "user": token.user.get_username(),
        "scopes": token.scopes,
        "team": token.team,
        "model": token.model.name if token.model else None,
        "expires_at": token.expires_at,
    }
