"""Instant: the whole traffic moves at once to a release that has served before (rollback after success)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollouts.domain.fields import number, only_known
from rollouts.domain.plan import YEAR, Plan, Promote, Provision, Retire


def compile_instant(parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """Provision (a no-op while the release is warm), then all traffic in one write."""
    path = "parameters."
    only_known(parameters, frozenset({"retire_after_seconds"}), path)
    retire = number(parameters, "retire_after_seconds", path, default=3600, least=0, most=YEAR)
    return Plan(steps=(Provision(replicas), Promote(), Retire(retire)))
