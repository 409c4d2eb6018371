"""Rules, the states of an alert, and silences, as values."""

from datetime import UTC, datetime, timedelta

import pytest

from monitoring.domain.alerts import (
    DEFAULT_RULES,
    Matcher,
    Memory,
    State,
    parse_matchers,
    parse_rule,
    silenced,
    step,
)
from registry.errors import Invalid

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULE = parse_rule({"name": "slow", "series": "latency", "threshold": 200, "for_seconds": 60})


def walked(*values: tuple[float, float | None], rule=RULE) -> list[str]:
    """The states after each (second, value)."""
    memory, found = None, []
    for second, value in values:
        memory = step(rule, memory, value, NOON + timedelta(seconds=second)).memory
        found.append(memory.state.value)
    return found


def test_a_breach_is_pending_until_it_has_lasted_and_then_fires():
    states = walked((0, 100), (15, 300), (30, 300), (74, 300), (75, 300), (90, 300))
    assert states == ["inactive", "pending", "pending", "pending", "firing", "firing"]


def test_a_breach_that_does_not_last_never_fires():
    states = walked((0, 300), (45, 300), (50, 100), (60, 300), (115, 300))
    assert states == ["pending", "pending", "inactive", "pending", "pending"]


def test_a_firing_alert_is_resolved_by_a_good_value_only():
    assert walked((0, 300), (60, 300), (75, None), (90, None), (105, 100)) == [
        "pending", "firing", "no_data", "no_data", "resolved",
    ]  # fmt: skip


def test_a_firing_alert_whose_data_comes_back_bad_goes_on_firing_at_once():
    states = walked((0, 300), (60, 300), (75, None), (90, 300))
    assert states == ["pending", "firing", "no_data", "firing"]


def test_a_pending_breach_begins_anew_after_a_gap():
    states = walked((0, 300), (45, None), (50, 300), (100, 300), (110, 300))
    assert states == ["pending", "inactive", "pending", "pending", "firing"]


def test_without_a_duration_a_rule_fires_at_once():
    rule = parse_rule({"name": "now", "series": "error_rate", "threshold": 0.02, "for_seconds": 0})
    assert walked((0, 0.5), rule=rule) == ["firing"]


def test_an_alert_without_data_for_a_day_is_put_away_not_resolved():
    assert walked((0, 300), (60, 300), (70, None), (86_469, None), (86_470, None))[2:] == [
        "no_data", "no_data", "expired",
    ]  # fmt: skip


def test_the_threshold_itself_is_no_breach_in_either_direction():
    assert not RULE.breached(200) and RULE.breached(200.1)
    few = parse_rule({"name": "idle", "series": "request_rate", "operator": "<", "threshold": 1})
    assert not few.breached(1) and few.breached(0.9)


def test_only_a_change_of_state_is_a_change():
    first = step(RULE, None, 300, NOON)
    again = step(RULE, first.memory, 300, NOON + timedelta(seconds=1))
    assert (first.changed, again.changed) == (True, False)
    assert again.memory == Memory(State.PENDING, NOON, NOON, None)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"name": "Slow", "series": "latency", "threshold": 1}, "rule.name"),
        ({"name": "slow", "series": "speed", "threshold": 1}, "rule.series"),
        ({"name": "slow", "series": "latency"}, "rule.threshold"),
        ({"name": "slow", "series": "latency", "threshold": True}, "rule.threshold"),
        ({"name": "slow", "series": "error_rate", "threshold": 2}, "rule.threshold"),
        ({"name": "slow", "series": "latency", "threshold": 1, "operator": "=="}, "rule.operator"),
        ({"name": "slow", "series": "latency", "threshold": 1, "for": 5}, "rule.for"),
        ({"name": "slow", "series": "latency", "threshold": 1, "for_seconds": -1}, "rule.for_seconds"),
        ({"name": "slow", "series": "latency", "threshold": 1, "metric": "x"}, "rule.metric"),
        ({"name": "slow", "series": "gauge", "threshold": 1}, "rule.metric"),
        ({"name": "slow", "series": "gauge", "threshold": 1, "metric": "a b"}, "rule.metric"),
        ({"name": "slow", "series": "latency", "threshold": 1, "endpoint": "a\nb"}, "rule.endpoint"),
        ({"name": "slow", "series": ["latency"], "threshold": 1}, "rule.series"),
        ([], "rule"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_with_its_field(document, field):
    with pytest.raises(Invalid) as refused:
        parse_rule(document)
    assert refused.value.field == field


def test_the_defaults_are_those_of_practice():
    conditions = [parse_rule(document).condition() for document in DEFAULT_RULES]
    assert conditions[:2] == ["p95 latency > 200 ms for 5 min", "error rate > 2.0 % for 2 min"]
    assert all("> 0.2 for 15 min" in condition for condition in conditions[2:])


def test_a_silence_matches_when_all_its_matchers_do():
    labels = {"rule": "slow", "endpoint": "churn-production", "model": "churn"}
    assert silenced(labels, [parse_matchers({"endpoint": "churn-*", "rule": "slow"})])
    assert not silenced(labels, [parse_matchers({"endpoint": "churn-*", "rule": "error_rate"})])
    assert silenced(labels, [(Matcher("rule", "no"),), (Matcher("rule", "*"),)])
    assert not silenced(labels, [])


@pytest.mark.parametrize(
    "matchers", [{}, [], {"colour": "red"}, {"rule": ""}, {"rule": "a|b"}, {"rule": 3}, None]
)
def test_a_silence_that_says_nothing_is_refused(matchers):
    with pytest.raises(Invalid):
        parse_matchers(matchers)
