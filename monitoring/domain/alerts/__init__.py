"""Alert rules, the states an alert goes through, and silences."""

from monitoring.domain.alerts.rules import DEFAULT_RULES, SERIES, Rule, parse_rule
from monitoring.domain.alerts.silences import Matcher, parse_matchers, silenced
from monitoring.domain.alerts.states import OPEN, Memory, State, Step, step

__all__ = [
    "DEFAULT_RULES", "OPEN", "SERIES", "Matcher", "Memory", "Rule", "State", "Step", "parse_matchers",
    "parse_rule", "silenced", "step",
]  # fmt: skip
