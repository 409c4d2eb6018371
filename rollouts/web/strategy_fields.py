"""Which fields the start form shows for which strategy, and what they begin with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.domain.judge import DEFAULT_GATES
from rollouts.domain.strategies import STARTABLE
from rollouts.domain.strategies.ab import GUARDS
from rollouts.domain.strategies.blue_green import GATES

PLAN = """\
steps:
  - {kind: provision, replicas: 1}
  - {kind: set_weight, percent: 10}
  - {kind: analyse, seconds: 300}
  - {kind: approve, count: 1, group: release_manager, seconds: 86400}
  - {kind: promote}
  - {kind: retire, seconds: 3600}
gates:
  - {kind: error_rate, name: errors, max: 0.02, min_samples: 20}
interval: 60
deadline: 3600
"""
_SHARED_FOLD = ("replicas", "max_restarts", "deadline_seconds")


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a strategy: `shown` at once, `wide` below each other, `folded` under “More settings”.

    initial: where it differs from what the field says itself.
    """

    about: str
    shown: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    initial: Mapping[str, Any] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, gates included."""
        return (*self.wide, *self.shown, *self.folded)


def _text(gates: Any) -> str:
    return json.dumps([dict(gate) for gate in gates], indent=1)


STRATEGY_FIELDS: dict[str, Fields] = {
    "canary": Fields(
        about="The candidate’s share grows step by step, and every step must pass its gates.",
        wide=("steps",),
        shown=("hold_seconds", "analyse_seconds", "interval_seconds"),
        folded=(*_SHARED_FOLD, "no_surge", "mirror_percent", "retire_after_seconds", "gates"),
        initial={"gates": _text(DEFAULT_GATES)},
    ),
    "blue_green": Fields(
        about="A second set of full size is met by testers first and then takes all traffic at once.",
        shown=("preview_seconds", "analyse_seconds", "interval_seconds"),
        folded=(
            *_SHARED_FOLD,
            "mirror_percent",
            "retire_after_seconds",
            "preview_header",
            "preview_value",
            "gates",
        ),
        initial={"gates": _text(GATES)},
    ),
    "shadow": Fields(
        about="The candidate gets copies of requests; nobody sees its answers and nothing is promoted.",
        shown=("mirror_percent", "analyse_seconds", "interval_seconds"),
        folded=(*_SHARED_FOLD, "no_surge", "gates"),
        initial={"gates": _text(DEFAULT_GATES), "mirror_percent": 100},
    ),
    "ab": Fields(
        about="Both versions serve users for a while, what came of it is compared, and people decide.",
        shown=("experiment_seconds", "percent", "key", "outcome", "better", "min_effect"),
        folded=(
            *_SHARED_FOLD,
            "arm",
            "interval_seconds",
            "approvals",
            "min_samples",
            "retire_after_seconds",
            "gates",
        ),
        initial={"gates": _text(GUARDS)},
    ),
    "custom": Fields(
        about="A plan that you write out, step by step.", wide=("plan",), initial={"plan": PLAN}
    ),
}
assert tuple(STRATEGY_FIELDS) == STARTABLE


def named(strategy: str) -> str:
    """The strategy, or the first one when there is none of that name."""
    return strategy if strategy in STRATEGY_FIELDS else STARTABLE[0]
