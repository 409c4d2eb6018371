"""Keeping a client with the version that it met: routers that divide at random hand out a cookie.

The first answer of a split in two carries one that names the version; requests with it go there. It names
both versions too, so that a cookie of an earlier comparison means nothing in the next.
"""

from __future__ import annotations

import re

from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld

SECONDS = 90 * 86_400


def keeps(world: DesiredWorld) -> bool:
    """Whether clients are kept: two versions share the traffic, and the plan says by a cookie."""
    route = world.route
    return bool(route and route.sticky and route.sticky[0] == "cookie" and len(route.split) == 2)


def unsticky(by: str, shares: int) -> str:
    """Why a router that hands out cookies cannot do what a plan with so many shares asks for; "" when it can.

    by: `header` or `cookie`; empty where a plan leaves it to the router.
    """
    if not by:
        return (
            "divides requests at random: the same user meets now one version, now the other. Name a "
            "cookie as the `key` to keep users with one"
        )
    if by != "cookie":
        return (
            "divides requests at random and cannot tell users apart by a header; name a cookie, or an `arm` "
            "that requests ask for"
        )
    if shares > 1:
        return (
            "keeps clients by a cookie that it hands out, which is right for one share of the traffic; this "
            f"plan has {shares}"
        )
    return ""


def pins(world: DesiredWorld) -> list[tuple[str, str, str]]:
    """(version, cookie, value) of each version that clients are kept with; nothing when they are not."""
    if not keeps(world):
        return []
    assert world.route is not None
    return [(version, _name(world), _value(world, version)) for version, _ in world.route.split]


def handed_out(world: DesiredWorld, version: str, target: Target) -> dict[str, str]:
    """The header with the cookie that a first answer of `version` carries; nothing when clients are free."""
    if not keeps(world):
        return {}
    path = "/" if target.gateway.get("kind") == "Service" else f"/{world.endpoint}"
    value = f"{_name(world)}={_value(world, version)}; Path={path}; Max-Age={SECONDS}; HttpOnly; SameSite=Lax"
    return {"set-cookie": value}


def cookie_pattern(name: str, value: str) -> str:
    """An expression over the whole of a Cookie header that holds this cookie."""
    return rf"(^|.*;\s*){re.escape(name)}={re.escape(value)}(;.*|$)"


def _name(world: DesiredWorld) -> str:
    return f"slipway-{world.endpoint}"


def _value(world: DesiredWorld, version: str) -> str:
    assert world.route is not None
    return ".".join([*(one for one, _ in world.route.split), version])
