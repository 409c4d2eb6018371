"""A fixed cast: one user per role, and an outsider without any."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from registry.domain.roles import Role
from registry.identity import grant


@pytest.fixture
def people(db) -> dict[str, User]:
    """One user per role, and an outsider without any."""
    users = {}
    for name in [*(role.value for role in Role), "outsider"]:
        users[name] = User.objects.create_user(name, password="a long password")
        grant(users[name], Role(name) if name != "outsider" else None)
    return users
