"""One PostgreSQL and one Redis for a whole test run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest

from tests.servers.postgres import Postgres
from tests.servers.process import Absent
from tests.servers.redis import Redis

T = TypeVar("T")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; skips where it is not installed, but fails where CI promises it."""
    with ExitStack() as stack:
        yield _entered(stack, Postgres())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A running Redis; skips where it is not installed, but fails where CI promises it."""
    with ExitStack() as stack:
        yield _entered(stack, Redis())


def entered(request: pytest.FixtureRequest, server: AbstractContextManager[T]) -> T:
    """The running server, ended with the fixture that asks for it."""
    stack = ExitStack()
    request.addfinalizer(stack.close)
    return _entered(stack, server)


def _entered(stack: ExitStack, server: AbstractContextManager[T]) -> T:
    try:
        return stack.enter_context(server)
    except Absent as why:
        pytest.fail(str(why)) if os.environ.get("CI") == "true" else pytest.skip(str(why))
