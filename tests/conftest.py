"""Fixtures of every test that crosses apps."""

from tests.servers.chromium import chromium
from tests.servers.fixtures import postgres, redis_server

__all__ = ["chromium", "postgres", "redis_server"]
