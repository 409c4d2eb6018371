"""The guard of outgoing connections: what code inside it opens is checked at the moment it connects.

The check sees the address that a name was resolved to and the target of every redirect, whichever library
connects, so a name that resolves to something else a second time gains nothing.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from monitoring.domain.destinations import refusal

MEND = "Allow its network in SLIPWAY_OUTBOUND_ALLOW if that is wanted."


class Refused(ConnectionError):
    """A connection to an address that nothing may be sent to."""


@dataclass
class Guard:
    """The networks that are open beside the public internet, and why connections were refused."""

    allowed: tuple[str, ...]
    refusals: list[str] = field(default_factory=list)


_guard: ContextVar[Guard | None] = ContextVar("outbound_guard", default=None)
_installed = False


@contextmanager
def guarded() -> Iterator[Guard]:
    """Connections that this thread opens inside go to permitted addresses only; others raise Refused."""
    _install()
    token = _guard.set(Guard(tuple(settings.SLIPWAY_OUTBOUND_ALLOW)))
    try:
        yield _guard.get()  # type: ignore[misc]
    finally:
        _guard.reset(token)


def _install() -> None:
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_check)


def _check(event: str, arguments: tuple[Any, ...]) -> None:
    """Python's own audit event before a socket connects or sends to an address."""
    if event not in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        return
    guard = _guard.get()
    if guard is None or arguments[1] is None:
        return
    why = _why_not(arguments[0], arguments[1], guard)
    if why:
        guard.refusals.append(why)
        raise Refused(f"{why}, where nothing is sent. {MEND}")


def _why_not(connection: Any, address: Any, guard: Guard) -> str:
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return "the destination is no internet address"
    return refusal(str(address[0]), guard.allowed)
