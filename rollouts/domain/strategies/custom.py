"""Custom: the plan that a user wrote out, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitoring.domain.judge import parse_gates
from rollouts.domain.plan import Plan


def compile_custom(parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """The document as a plan, validated whole; `replicas` is what the document should say itself."""
    plan = Plan.from_dict(parameters, "parameters.")
    if plan.gates:
        parse_gates(plan.gates, path="parameters.gates")
    return plan
