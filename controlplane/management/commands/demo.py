"""`manage.py demo`: Slipway with real models, real traffic and releases that go well and badly."""

from __future__ import annotations

import json
import secrets
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from controlplane.up.launch import Extra, Say, launch
from controlplane.up.place import NotPossible
from controlplane.up.site import Service, Site
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.identity import grant
from registry.models import ApiToken
from registry.tokens import create_token

TOKEN_NAME = "demo"
REASON = "The demo's users."


@dataclass(frozen=True)
class Account:
    """How one of the demo's users signs in, on the pages and over REST."""

    user: str
    password: str
    token: str


class Command(BaseCommand):
    """Start Slipway with the demo's users, models, traffic and releases."""

    help = "Start Slipway with trained models, traffic and a run of releases; Ctrl-C stops it all."

    def handle(self, *args: Any, **options: Any) -> None:
        """Never returns when all goes well: the service supervisor replaces this process."""
        try:
            launch(self._say, prepare)
        except NotPossible as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("stopped before the services were started", returncode=130) from None

    def _say(self, line: str) -> None:
        self.stdout.write(f"  {line}")
        self.stdout.flush()


def prepare(site: Site, say: Say) -> Extra:
    """Users, models and `demo.json`; the two processes that make the demo move."""
    models = site.home / "demo-models"
    say(train(site, models))
    accounts = ensure_accounts(site.home / "demo.json")
    write_access(site, accounts)
    say(f"{len(accounts)} users ready")
    home = ("--home", str(site.home), "--models", str(models))
    return Extra(
        services=(
            Service("traffic", ("-m", "deploy.demo.traffic", *home, "--gateway", site.gateway_url)),
            Service("director", ("-m", "deploy.demo.director", *home)),
        ),
        banner=(
            "",
            *(f"  {account.user:<16} password {account.password}" for account in accounts.values()),
            "",
            f"releases under way: tail -f {site.home / 'logs' / 'director.log'}",
        ),
    )


def train(site: Site, folder: Path) -> str:
    """Train the models unless they are there; in a process of its own, since deploy is not imported here."""
    command = (site.python, "-m", "deploy.demo.models", "--if-missing", str(folder))
    done = subprocess.run(command, cwd=site.root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NotPossible(f"the demo's models could not be trained: {why}")
    return done.stdout.strip().splitlines()[-1]


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
    """Whether the user still has an active demo token that begins as `secret` does."""
    tokens = ApiToken.objects.filter(user=user, name=TOKEN_NAME)
    return any(
        secret.startswith(token.prefix) and token.state(timezone.now()) == "active" for token in tokens
    )


def write_access(site: Site, accounts: dict[str, Account]) -> None:
    """Write `demo.json`, readable by its owner only, so that scripts can sign in."""
    document = {
        "base_url": site.url,
        "gateway_url": site.gateway_url,
        "users": {role: asdict(account) for role, account in accounts.items()},
    }
    path = site.home / "demo.json"
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.chmod(0o600)
    draft.write_text(json.dumps(document, indent=1) + "\n")
    draft.replace(path)
