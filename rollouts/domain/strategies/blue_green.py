"""Blue/green: a second colour of full size, met by testers first, takes all traffic in one write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollouts.domain.fields import number, only_known, text
from rollouts.domain.plan import YEAR, Analyse, Hold, Plan, Preview, Promote, Provision, SetWeight
from rollouts.domain.strategies import common
from rollouts.domain.strategies.canary import dark

PARAMETERS = common.SHARED | {
    "preview_header",
    "preview_value",
    "preview_seconds",
    "mirror_percent",
    "retire_after_seconds",
}
# After the switch the old colour has no traffic to compare with, so these gates need none of it.
GATES: tuple[Mapping[str, Any], ...] = (
    {"kind": "error_rate", "name": "errors", "max": 0.02, "min_samples": 20},
    {"kind": "distribution", "name": "output", "max": 0.25, "against": "baseline", "min_samples": 200},
)


def compile_blue_green(parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """Provision, preview for testers, optionally analyse mirrored traffic, switch, analyse, promote.

    Until the promotion the old colour stays as it is, so that a rollback is one write.
    """
    only_known(parameters, PARAMETERS, common.PATH)
    analyse = Analyse(common.analyse_seconds(parameters))
    steps = (
        Provision(common.size(parameters, replicas)),
        _preview(parameters),
        Hold(number(parameters, "preview_seconds", common.PATH, default=60, least=0, most=YEAR)),
        *dark(common.percent(parameters, "mirror_percent", default=0), analyse),
        SetWeight(100),
        analyse,
        Promote(),
        common.retire(parameters),
    )
    return common.watched_plan(parameters, steps, GATES)


def _preview(parameters: Mapping[str, Any]) -> Preview:
    default = Preview()
    return Preview(
        header=text(
            parameters, "preview_header", common.PATH, default=default.header, pattern=r"[a-z0-9-]{1,64}"
        ),
        value=text(
            parameters, "preview_value", common.PATH, default=default.value, pattern=r"[\x21-\x7e]{1,128}"
        ),
    )
