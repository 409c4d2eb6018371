"""People: those who sign in with a password, and those who do at an identity provider."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from django.contrib.auth.models import User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from registry import audit
from registry.domain.actor import Actor
from registry.domain.roles import Role
from registry.domain.text import clean_line
from registry.errors import Conflict, Forbidden, Invalid
from registry.models import OpenIDIdentity
from registry.services.access import follow_groups, grant_role, naming_user, target


def create_person(
    *,
    name: str,
    password: str,
    actor: Actor,
    email: str = "",
    role: Role | None = None,
    superuser: bool = False,
    reason: str = "",
) -> User:
    """Somebody who signs in with a password, with `role` on everything or without any role.

    superuser: may also use `/admin/`, and stays an administrator whatever roles are taken away.
    Raises: Invalid for a name or an address that is none, Conflict when the name is taken.
    """
    name = clean_line(name, field="name", maximum=150, required=True)
    email = clean_line(email, field="email", maximum=254)
    _check_person(name, email)
    user = User(username=name, email=email, is_staff=superuser, is_superuser=superuser)
    user.set_password(password)
    with naming_user(name):
        user.save(force_insert=True)
        audit.record(
            actor=actor,
            action="account.create",
            target=target(user),
            after={"superuser": superuser},
            reason=reason,
        )
        if role is not None:
            grant_role(user=user, role=role, actor=actor, reason=reason)
    return user


def change_password(*, user: User, password: str, actor: Actor) -> None:
    """Another password; other sessions of the user end, tokens stay."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(actor=actor, action="account.password", target=target(user))


def _check_person(name: str, email: str) -> None:
    try:
        UnicodeUsernameValidator()(name)
    except ValidationError:
        raise Invalid(
            f"{ascii(name[:40])} cannot name a person.",
            field="name",
            hint="Use letters, digits and the characters @ . + - _ only.",
        ) from None
    try:
        if email:
            validate_email(email)
    except ValidationError:
        raise Invalid(f"{ascii(email[:80])} is no e-mail address.", field="email") from None


def sign_on(
    *, issuer: str, subject: str, username: str, email: str, roles: Iterable[str], actor: Actor
) -> User:
    """The user that the provider's `subject` is, made at the first time, with the strongest of `roles`.

    Who somebody is rests on the provider's subject alone: names and addresses can be given to somebody else.
    Raises: Conflict when the name belongs to another account, Forbidden for a disabled user.
    """
    subject = clean_line(subject, field="sub", maximum=255, required=True)
    found = OpenIDIdentity.objects.select_related("user").filter(issuer=issuer, subject=subject).first()
    user = found.user if found else _made(issuer, subject, username, email, actor)
    if not user.is_active:
        raise Forbidden("This account is disabled.", hint="Ask an administrator.")
    actor = replace(actor, id=user.pk, name=user.get_username())
    follow_groups(user=user, roles=roles, actor=actor)
    return user


def _made(issuer: str, subject: str, username: str, email: str, actor: Actor) -> User:
    name = clean_line(username, field="username", maximum=150, required=True)
    user = User(username=name, email=clean_line(email, field="email", maximum=254))
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            OpenIDIdentity.objects.create(user=user, issuer=issuer, subject=subject)
            audit.record(
                actor=replace(actor, id=user.pk, name=name),
                action="account.create",
                target=target(user),
                after={"issuer": issuer, "subject": subject},
                reason="first sign-in at the identity provider",
            )
    except IntegrityError:
        raise Conflict(
            f"There is an account named {name!r} that does not sign in at the identity provider.",
            hint="An administrator links it with `manage.py link_identity`, or renames it.",
        ) from None
    return user


def link_identity(*, user: User, issuer: str, subject: str, actor: Actor) -> None:
    """Let a person who has an account sign in to it at the provider from now on."""
    subject = clean_line(subject, field="sub", maximum=255, required=True)
    if hasattr(user, "service_account"):
        raise Conflict(f"{user.get_username()} is a service account: it acts through its tokens only.")
    try:
        with transaction.atomic():
            OpenIDIdentity.objects.create(user=user, issuer=issuer, subject=subject)
            audit.record(
                actor=actor,
                action="account.link",
                target=target(user),
                after={"issuer": issuer, "subject": subject},
            )
    except IntegrityError:
        raise Conflict("The user or the subject is linked already.") from None
