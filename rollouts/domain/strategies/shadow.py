"""Shadow: the candidate gets copies of real requests, nobody sees its answers, nothing is promoted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitoring.domain.judge import DEFAULT_GATES
from rollouts.domain.fields import only_known
from rollouts.domain.plan import Analyse, Conclude, Mirror, Plan, Provision
from rollouts.domain.strategies import common


def compile_shadow(parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """Provision, mirror, analyse, end: what was measured stays with the version."""
    only_known(parameters, common.SHARED | {"mirror_percent", "no_surge"}, common.PATH)
    steps = (
        Provision(common.size(parameters, replicas)),
        Mirror(common.percent(parameters, "mirror_percent", default=100, least=1)),
        Analyse(common.analyse_seconds(parameters)),
        Conclude(),
    )
    return common.watched_plan(parameters, steps, DEFAULT_GATES)
