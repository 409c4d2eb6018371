"""A pytest plugin that keeps the tests that touch the database: `pytest -p tests.servers.only_database`."""

from __future__ import annotations

import pytest

_FIXTURES = {"db", "transactional_db"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept = [item for item in items if _touches(item)]
    config.hook.pytest_deselected(items=[item for item in items if not _touches(item)])
    items[:] = kept


def _touches(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("django_db") is not None
    return marked or bool(_FIXTURES & set(getattr(item, "fixturenames", ())))
