"""Who can sign in after a start on one machine: a first administrator, or one user per role."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from controlplane.up.site import Site
from registry import directory, services
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.errors import Conflict
from registry.identity import grant
from registry.models import ApiToken
from registry.tokens import create_token

TOKEN_NAME = "demo"
REASON = "The users that a start on one machine makes."
FIRST = "admin"
DEMO_ACCESS = "demo.json"
"""What the demo keeps its users in."""


def first_administrator(path: Path, site: Site) -> tuple[str, ...]:
    """How to get in, in lines to print. While nobody administers anything an administrator is made, with a
    random password that is told once and kept in `path`, readable by its owner only."""
    if directory.has_administrator():
        kept = (file for file in (path, path.with_name(DEMO_ACCESS)) if _still_good(file))
        return tuple(f"the password of {FIRST} is in {file}" for file in kept)
    password = secrets.token_urlsafe(12)
    # The file first: of a start that breaks off in between nobody is left whose password is unknown.
    users = {Role.ADMIN.value: {"user": FIRST, "password": password}}
    _write_private(path, {"base_url": site.url, "users": users})
    try:
        services.create_person(
            name=FIRST, password=password, role=Role.ADMIN, superuser=True, actor=SYSTEM, reason=REASON
        )
    except Conflict:
        path.unlink()
        return (
            f"nobody administers this Slipway, and {FIRST} is somebody else: make an administrator with",
            "`.venv/bin/python manage.py createsuperuser`, SLIPWAY_HOME set as now",
        )
    return (
        "",
        f"  sign in as {FIRST} with the password {password}",
        f"  (told this once, kept in {path}); add people at {site.url}/access/",
        "",
    )


def _still_good(path: Path) -> bool:
    """Whether the first administrator still has the password of `path`."""
    try:
        known = json.loads(path.read_bytes())["users"][Role.ADMIN.value]
        user = User.objects.filter(username=known["user"], is_active=True).first()
        return user is not None and user.check_password(known["password"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


@dataclass(frozen=True)
class Account:
    """How a user signs in, on the pages and over REST."""

    user: str
    password: str
    token: str


def ensure_accounts(path: Path) -> dict[str, Account]:
    """One user per role, with the passwords and tokens of `path` while they are still good."""
    known = known_accounts(path)
    return {role.value: _ensure_account(role, known.get(role.value)) for role in Role}


def known_accounts(path: Path) -> dict[str, Account]:
    """The accounts of an earlier start; {} when there was none or the file is damaged."""
    try:
        users = json.loads(path.read_bytes())["users"]
        return {role: Account(**fields) for role, fields in users.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _ensure_account(role: Role, known: Account | None) -> Account:
    name = role.value.replace("_", "-")
    user, _ = User.objects.get_or_create(username=name)
    if known and known.user == name and user.check_password(known.password) and _works(user, known.token):
        return known
    password = secrets.token_urlsafe(9)
    user.set_password(password)
    user.is_staff = user.is_superuser = role == Role.ADMIN
    user.save()
    grant(user, role)
    _, token = create_token(user=user, name=TOKEN_NAME, actor=SYSTEM, reason=REASON)
    return Account(name, password, token)


def _works(user: User, secret: str) -> bool:
    """Whether the user still has an active token of ours that begins as `secret` does."""
    tokens = ApiToken.objects.filter(user=user, name=TOKEN_NAME)
    return any(
        secret.startswith(token.prefix) and token.state(timezone.now()) == "active" for token in tokens
    )


def write_access(path: Path, site: Site, accounts: dict[str, Account]) -> None:
    """Write them, readable by their owner only, so that scripts can sign in."""
    document = {
        "base_url": site.url,
        "gateway_url": site.gateway_url,
        "users": {role: asdict(account) for role, account in accounts.items()},
    }
    _write_private(path, document)


def _write_private(path: Path, document: dict[str, Any]) -> None:
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.chmod(0o600)
    draft.write_text(json.dumps(document, indent=1) + "\n")
    draft.replace(path)
