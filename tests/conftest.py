"""Fixtures of every test that crosses apps."""

from tests.servers.fixtures import postgres, redis_server

__all__ = ["postgres", "redis_server"]
