"""A plugin for `-n 2`: what takes longest begins first, and files that share a running stack share one process.

For `-p tests.longest_first --no-loadscope-reorder`. xdist alone begins with the files of the most tests, and ends
with one process at work and the other idle; files that share a stack would each start one of their own.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = re.compile(r"tests/browser/|tests/production/(?=test_(batch|outages|runbook|stack)\.py)")
FIRST = (
    "tests/chaos/test_chaos.py",
    "tests/browser/",
    "tests/survival/",
    "tests/production/",
    "tests/chaos/",
)


class ByFile(LoadScopeScheduling):
    """What xdist's `loadfile` does, but for files that share a stack."""

    def _split_scope(self, nodeid: str) -> str:
        stack = TOGETHER.match(nodeid)
        return stack.group() if stack else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """xdist's hook for a scheduler of one's own."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest's hook; within a place the order stays."""
    items.sort(key=lambda item: [not item.nodeid.startswith(place) for place in FIRST])
