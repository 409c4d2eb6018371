"""One call as its handler sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase

from registry.domain.access import Scope
from registry.domain.actor import Actor
from registry.domain.roles import Permission
from registry.identity import actor_for, permissions_of, require
from registry.mlflow.arguments import Arguments


@dataclass(slots=True)
class Call:
    """The request with its user, its arguments, and what was in the path."""

    request: HttpRequest
    user: User
    arguments: Arguments
    path: Mapping[str, str]
    permission: Permission = Permission.VIEW

    @property
    def actor(self) -> Actor:
        """The author of what this call changes."""
        return actor_for(self.request)

    def check(self, place: Scope, hidden: Exception, permission: Permission | None = None) -> None:
        """`Forbidden` unless the user holds the route's permission, or another one, on that model.

        A model that the user may not even view raises `hidden`, as one that does not exist.
        """
        wanted, held = permission or self.permission, permissions_of(self.user, place)
        if wanted in held:
            return
        if Permission.VIEW not in held:
            raise hidden
        require(self.user, wanted, place)


Handler = Callable[[Call], dict[str, Any] | HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Route:
    """A call of the protocol: its methods, its path with `{…}` for parts, who may, and what answers.

    The user must hold the permission on something; calls about one model ask for it on that model too.
    A `raw` one reads the request's body itself.
    """

    methods: str
    path: str
    handler: Handler
    permission: Permission | None
    raw: bool = False
