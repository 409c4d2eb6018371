"""Granting and revoking roles; accounts for pipelines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.domain.names import account_name, team_name
from registry.domain.roles import Role, strongest
from registry.domain.text import clean_line
from registry.errors import Conflict, Invalid
from registry.models import ApiToken, Model, RoleGrant, ServiceAccount


def grant_role(
    *, user: User, role: Role, actor: Actor, team: str = "", model: Model | None = None, reason: str = ""
) -> RoleGrant:
    """Give the user this role on everything, on a team's models or on one model, in place of the one they had
    there; nothing happens if they have it."""
    team = team_name(team, field="team")
    if team and model is not None:
        raise Invalid("A role holds on a team or on a model, not on both.", field="team")
    with transaction.atomic():
        _locked(user)
        found = RoleGrant.objects.filter(user=user, team=team, model=model, source=RoleGrant.MANUAL).first()
        before = None if found is None else found.role
        if found is not None and found.role == role.value:
            return found
        if found is not None:
            _keep_an_administrator(found)
        row = found or RoleGrant(user=user, team=team, model=model)
        row.role, row.granted_by = role.value, actor.name
        row.save()
        audit.record(
            actor=actor,
            action="role.grant",
            target=target(user),
            before={"role": before, "on": row.where} if before else None,
            after={"role": row.role, "on": row.where},
            reason=reason,
        )
    return row


def revoke_role(*, grant: RoleGrant, actor: Actor, reason: str = "") -> None:
    """Take the role away; `Conflict` when nobody would be left who may administer."""
    if grant.source != RoleGrant.MANUAL:
        raise Conflict(
            "This role comes from single sign-on.",
            hint="Change the person's groups at the identity provider.",
        )
    with transaction.atomic():
        _locked(grant.user)
        _keep_an_administrator(grant)
        deleted, _ = RoleGrant.objects.filter(pk=grant.pk).delete()
        if not deleted:
            raise Conflict("The role was revoked already.")
        audit.record(
            actor=actor,
            action="role.revoke",
            target=target(grant.user),
            before={"role": grant.role, "on": grant.where},
            reason=reason,
        )


def follow_groups(*, user: User, roles: Iterable[str], actor: Actor) -> None:
    """Give the user, from single sign-on, the strongest of `roles` on everything, or none; theirs granted by
    people stay as they are."""
    role = strongest(roles)
    with transaction.atomic():
        _locked(user)
        found = RoleGrant.objects.filter(user=user, source=RoleGrant.OIDC)
        before = found.values_list("role", flat=True).first()
        if before == (role.value if role else None):
            return
        found.delete()
        if role is not None:
            RoleGrant.objects.create(user=user, role=role.value, source=RoleGrant.OIDC, granted_by=actor.name)
        audit.record(
            actor=actor,
            action="role.follow",
            target=target(user),
            before={"role": before} if before else None,
            after={"role": role.value} if role else None,
            reason="groups at the identity provider",
        )


def create_service_account(
    *, name: str, actor: Actor, description: str = "", reason: str = ""
) -> ServiceAccount:
    """An account without a password and without a role; `Conflict` when the name is taken."""
    name = account_name(name)
    description = clean_line(description, field="description", maximum=500)
    with naming_user(name):
        user = User(username=name)
        user.set_unusable_password()
        user.save(force_insert=True)
        made = ServiceAccount.objects.create(user=user, description=description, created_by=actor.name)
        audit.record(
            actor=actor,
            action="account.create",
            target=target(user),
            after={"description": description},
            reason=reason,
        )
    return made


@contextmanager
def naming_user(name: str) -> Iterator[None]:
    """One transaction that inserts the user or account of this name; `Conflict` when the name is taken."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise Conflict(f"There is a user or an account named {name!r} already.", field="name") from None


def disable_service_account(*, account: ServiceAccount, actor: Actor, reason: str = "") -> None:
    """End the account and its tokens at once; its name stays in the record and is not given again."""
    with transaction.atomic():
        if not User.objects.filter(pk=account.user_id, is_active=True).update(is_active=False):
            raise Conflict(f"The account {account} is disabled already.")
        ended = ApiToken.objects.filter(user=account.user, revoked_at=None).update(revoked_at=timezone.now())
        audit.record(
            actor=actor,
            action="account.disable",
            target=target(account.user),
            before={"tokens": ended},
            reason=reason,
        )


def target(user: User) -> str:
    """How the audit trail names a user."""
    return f"users/{user.get_username()}"


def _locked(user: User) -> None:
    """Two changes of one user's roles wait for each other."""
    User.objects.select_for_update().filter(pk=user.pk).first()


def _keep_an_administrator(row: RoleGrant) -> None:
    if row.role != Role.ADMIN or row.team or row.model_id is not None:
        return
    held = RoleGrant.objects.filter(role=Role.ADMIN.value, team="", model=None, user__is_active=True)
    # All are locked, in one order: of two administrators who revoke each other at once, one is refused.
    rows = list(held.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    if not set(rows) - {row.pk} and not User.objects.filter(is_superuser=True, is_active=True).exists():
        raise Conflict(
            "This is the last administrator.", hint="Give somebody else the role admin on everything first."
        )
