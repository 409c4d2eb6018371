"""Pooled connections to PostgreSQL: a dead one is found out before it is used."""

import time

import psycopg
import pytest

from controlplane.postgresql import base
from tests.servers.fixtures import postgres
from tests.servers.postgres import Postgres

__all__ = ["postgres"]


@pytest.fixture
def connection(postgres: Postgres):
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        yield connection


def end(postgres: Postgres, connection: psycopg.Connection) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])


def test_a_connection_whose_server_process_ended_is_found_out_at_once(postgres, connection):
    base._used[connection] = time.monotonic()
    base.alive(connection)
    end(postgres, connection)
    with pytest.raises(psycopg.OperationalError):
        base.alive(connection)


def test_a_connection_that_was_just_used_is_not_asked_and_one_that_rested_is(connection, monkeypatch):
    asked = []
    monkeypatch.setattr(base.ConnectionPool, "check_connection", asked.append)
    base._used[connection] = time.monotonic()
    base.alive(connection)
    assert asked == []
    base._used[connection] = time.monotonic() - base.RESTED - 1
    base.alive(connection)
    assert asked == [connection]
