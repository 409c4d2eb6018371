"""Connections from psycopg's pool, asked whether they live only when there is reason to doubt it.

Django asks the server at every request. A server that ended closes its end of the socket, which the
kernel knows without asking; only a connection that rested for a while is asked, since a network can lose one
silently.
"""

from __future__ import annotations

import select
import time
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base as django_base
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg import Connection
from psycopg_pool import ConnectionPool

# django-stubs describe it without its own parts.
_Wrapper: Any = django_base.DatabaseWrapper
RESTED = 5.0
# Statements that one connection keeps; psycopg forgets the one that was prepared first.
KEPT = 300
_used: WeakKeyDictionary[Connection[Any], float] = WeakKeyDictionary()


class DatabaseWrapper(_Wrapper):  # type: ignore[misc]
    """`OPTIONS["pool"]` as in Django."""

    @property
    def pool(self) -> Any:
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        if self.alias not in self._connection_pools:
            made = ConnectionPool(
                kwargs={**self.get_connection_params(), "autocommit": True},
                open=False,
                configure=self._configure_connection,
                check=alive,
                **options,
            )
            # Of two threads that make one at once, the first wins; theirs is not open yet.
            self._connection_pools.setdefault(self.alias, made)
        return self._connection_pools[self.alias]

    def get_connection_params(self) -> dict[str, Any]:
        # Django forbids psycopg to prepare anything, even what asks for it (`registry.statements`). The ORM's
        # own cursors write values into their statements, so these are never prepared.
        threshold = 0 if settings.SLIPWAY_DATABASE_PREPARE else None
        return {**super().get_connection_params(), "prepare_threshold": threshold}

    def _configure_connection(self, connection: Any) -> Any:
        connection.prepared_max = KEPT
        if settings.USE_TZ and self.timezone == UTC:
            connection.adapters.register_loader("timestamptz", Moment)
        return super()._configure_connection(connection)

    def _close(self) -> None:
        if self.connection is not None and self.pool:
            _used[self.connection] = time.monotonic()
        super()._close()


class Moment(BaseTzLoader):  # type: ignore[misc]
    """A time in UTC; read by Python's own C, which takes a tenth of what the driver's expression takes."""

    timezone = UTC

    def load(self, data: Any) -> Any:
        try:
            # A text, as the server writes it: 2026-11-21 17:54:00.12+00
            return datetime.fromisoformat(bytes(data).decode())
        except ValueError:  # infinity, or a year that Python does not know
            return super().load(data)


def alive(connection: Connection[Any]) -> None:
    """Raises what psycopg raises when the server does not answer on this connection."""
    rested = time.monotonic() - _used.get(connection, 0.0) > RESTED
    if rested or _has_something_to_say(connection.pgconn.socket):
        ConnectionPool.check_connection(connection)


def _has_something_to_say(socket: int) -> bool:
    """Nothing was asked, so it is a farewell, or the end of the stream."""
    poll = select.poll()
    poll.register(socket, select.POLLIN | select.POLLPRI)
    return bool(poll.poll(0))
