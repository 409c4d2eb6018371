"""What every page's frame knows of its user."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from registry.domain.roles import Permission
from registry.identity import may, may_anywhere


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Which links of the top bar lead somewhere for this user; asked only by pages that draw them."""
    user = getattr(request, "user", None)
    if user is None:
        return {}
    return {
        "manages_access": lambda: may_anywhere(user, Permission.ADMINISTER),
        "sees_audit": lambda: may(user, Permission.VIEW),
    }
