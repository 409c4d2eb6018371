"""Tokens and roles: who a request is, at the cost of one query."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from registry import tokens
from registry.domain.actor import SYSTEM
from registry.domain.roles import Permission, Role
from registry.errors import Conflict, Forbidden, Invalid
from registry.identity import grant, may, permissions_of, require, role_of
from registry.models import ApiToken, AuditEntry

pytestmark = pytest.mark.django_db


def make(user, **changes):
    return tokens.create_token(**{"user": user, "name": "ci", "actor": SYSTEM} | changes)


def test_a_secret_is_recognised_and_only_its_digest_is_kept(cast):
    token, secret = make(cast["engineer"])
    user, found = tokens.authenticate(secret)
    assert (user, found) == (cast["engineer"], token)
    assert secret.startswith("slw_") and len(secret) > 40
    stored = ApiToken.objects.filter(pk=token.pk).values()[0]
    assert not any(secret in str(value) for value in stored.values())
    assert secret not in str(list(AuditEntry.objects.values()))


def test_authentication_with_role_takes_one_query(cast, django_assert_num_queries):
    _, secret = make(cast["manager"])
    tokens.authenticate(secret)
    with django_assert_num_queries(1):
        user, _ = tokens.authenticate(secret)
        assert role_of(user) is Role.RELEASE_MANAGER


@pytest.mark.parametrize("secret", ["", "slw_", "slw_nonsense", "Bearer x", "other_" + "a" * 43])
def test_an_unknown_secret_is_nobody(cast, secret):
    make(cast["engineer"])
    assert tokens.authenticate(secret) is None


def test_an_expired_a_revoked_and_an_inactive_users_token_are_nobody(cast):
    token, expired = make(cast["engineer"], expires_at=timezone.now() + timedelta(hours=1))
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert tokens.authenticate(expired) is None
    token, revoked = make(cast["engineer"])
    tokens.revoke_token(token=token, actor=SYSTEM)
    assert tokens.authenticate(revoked) is None
    with pytest.raises(Conflict, match="revoked already"):
        tokens.revoke_token(token=token, actor=SYSTEM)
    _, orphan = make(cast["viewer"])
    User.objects.filter(username="viewer").update(is_active=False)
    assert tokens.authenticate(orphan) is None


def test_scopes_narrow_what_the_token_may(cast):
    _, secret = make(cast["admin"], scopes=["view", "register"])
    user, _ = tokens.authenticate(secret)
    assert permissions_of(user) == {Permission.VIEW, Permission.REGISTER}
    with pytest.raises(Forbidden, match="This token does not include it"):
        require(user, Permission.ADMINISTER)
    assert may(cast["admin"], Permission.ADMINISTER), "the session of the same person is not narrowed"


def test_a_token_follows_its_users_role(cast):
    _, secret = make(cast["engineer"])
    grant(cast["engineer"], Role.VIEWER)
    user, _ = tokens.authenticate(secret)
    assert role_of(user) is Role.VIEWER


def test_last_use_is_remembered_once_a_minute(cast, django_assert_num_queries):
    token, secret = make(cast["viewer"])
    tokens.authenticate(secret)
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=first - timedelta(minutes=2))
    tokens.authenticate(secret)
    token.refresh_from_db()
    assert token.last_used_at >= first


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"name": "a\nb"}, {"scopes": ["fly"]}, {"expires_at": timezone.now() - timedelta(days=1)}],
)
def test_a_bad_token_is_refused(cast, changes):
    with pytest.raises(Invalid):
        make(cast["viewer"], **changes)


def test_roles_come_from_grants_and_superusers_are_admins(cast):
    assert role_of(cast["manager"]) is Role.RELEASE_MANAGER
    assert role_of(cast["outsider"]) is None
    assert role_of(AnonymousUser()) is None
    assert role_of(User(username="root", is_superuser=True)) is Role.ADMIN


def test_granting_replaces_the_role(cast):
    grant(cast["admin"], Role.VIEWER)
    assert [grant.role for grant in cast["admin"].role_grants.all()] == ["viewer"]
    grant(cast["admin"], None)
    assert role_of(User.objects.get(username="admin")) is None


def test_a_missing_permission_is_named_with_the_role(cast):
    with pytest.raises(Forbidden, match="'register'. Your role is viewer"):
        require(cast["viewer"], Permission.REGISTER)
    with pytest.raises(Forbidden, match="You have no role"):
        require(cast["outsider"], Permission.VIEW)
