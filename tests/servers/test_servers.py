"""The servers that other tests rely on: quick to start, and they keep or lose what they should."""

from __future__ import annotations

import psycopg
import pytest

from tests.servers.postgres import Postgres
from tests.servers.process import Absent, program
from tests.servers.redis import Redis

pytestmark = pytest.mark.stack


def test_postgresql_keeps_what_was_committed_before_a_crash(postgres: Postgres) -> None:
    url = postgres.create("crash")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    postgres.crash()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)
    postgres.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_redis_comes_back_empty(redis_server: Redis) -> None:
    with redis_server.client() as client:
        client.set("message", "look now")
    redis_server.stop()
    redis_server.start()
    with redis_server.client() as client:
        assert client.get("message") is None


def test_a_missing_server_is_named_with_its_package() -> None:
    with pytest.raises(Absent, match="apt install made-up-package"):
        program("made-up-server", "made-up-package")
