"""People for the tests of the pages: signed in, and without the cost of hashing a password."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from django.test import Client

from registry.domain.roles import Role
from registry.identity import grant

SignIn = Callable[[str], Client]


def sign_in(client: Client, name: str) -> Client:
    """The client, signed in as the user named after a role, or as one who has none."""
    user, _ = User.objects.get_or_create(username=name)
    grant(user, Role(name) if name in list(Role) else None)
    client.force_login(user)
    return client
