"""Fixtures of every test that crosses apps, and which of them share a process."""

import pytest

from tests.servers.fixtures import postgres, redis_server

__all__ = ["postgres", "redis_server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n 2 --dist loadgroup`, tests that share a started stack stay together: a file, or the browser's."""
    for item in items:
        if item.get_closest_marker("stack"):
            group = item.path.parent if item.get_closest_marker("browser") else item.path
            item.add_marker(pytest.mark.xdist_group(str(group)))
