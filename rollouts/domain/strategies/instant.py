"""Instant: the whole traffic moves at once to a release that has served before (rollback after success)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollouts.domain.fields import only_known
from rollouts.domain.plan import Plan, Promote, Provision
from rollouts.domain.strategies import common


def compile_instant(parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """Provision (a no-op while the release is warm), then all traffic in one write."""
    only_known(parameters, frozenset({"retire_after_seconds"}), common.PATH)
    return Plan(steps=(Provision(replicas), Promote(), common.retire(parameters)))
