"""Pooled connections to PostgreSQL: a dead one is found out before it is used."""

import time
from datetime import UTC, datetime

import psycopg
import pytest
from django.db.utils import ConnectionHandler, DataError

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


@pytest.fixture
def wrapper(postgres: Postgres, django_db_blocker):
    """Django's connection to a real server, through a pool of one."""
    parts = psycopg.conninfo.conninfo_to_dict(postgres.url("postgres"))
    place = {"NAME": parts["dbname"], "USER": parts["user"], "HOST": parts["host"], "PORT": parts["port"]}
    options = {"pool": {"min_size": 1, "max_size": 1}}
    made = ConnectionHandler({"default": {"ENGINE": "controlplane.postgresql", "OPTIONS": options, **place}})[
        "default"
    ]
    with django_db_blocker.unblock():
        yield made
        made.close()
        made.close_pool()


def test_what_asks_to_be_prepared_is_planned_once_and_what_the_orm_writes_never_is(wrapper):
    for _ in range(2):
        wrapper.ensure_connection()
        psycopg.Cursor(wrapper.connection).execute("SELECT 'asked', %s", [7], prepare=True)
        with wrapper.cursor() as cursor:
            for _ in range(10):
                cursor.execute("SELECT 'not asked', %s", [7])
        wrapper.close()
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans + custom_plans FROM pg_prepared_statements")
        assert cursor.fetchall() == [("SELECT 'asked', $1", 2)]


def test_times_are_read_in_utc_to_the_microsecond_and_what_python_does_not_know_is_an_error(wrapper):
    with wrapper.cursor() as cursor:
        cursor.execute(
            "SELECT '2026-11-21 17:54:00.12+02'::timestamptz, '1999-01-01'::timestamptz, NULL::timestamptz"
        )
        assert cursor.fetchone() == (
            datetime(2026, 11, 21, 15, 54, 0, 120_000, tzinfo=UTC),
            datetime(1999, 1, 1, tzinfo=UTC),
            None,
        )
    with wrapper.cursor() as cursor, pytest.raises(DataError):
        cursor.execute("SELECT 'infinity'::timestamptz")
        cursor.fetchone()
