from __future__ import annotations

import pytest

from rollouts.checks import check_ports, check_queue, check_tick


def ids(messages) -> list[str]:
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_the_defaults_are_fine():
    assert [*check_ports(), *check_tick(), *check_queue()] == []


@pytest.mark.parametrize(
    ("setting", "value", "check", "expected"),
    [
        ("SLIPWAY_CLUSTER", "nowhere.Cluster", check_ports, ["rollouts.E001"]),
        ("SLIPWAY_ROUTER", "rollouts.adapters.local.LocalCluster", check_ports, ["rollouts.E002"]),
        ("SLIPWAY_TICK_SECONDS", 3600, check_tick, ["rollouts.E003"]),
        ("CELERY_BROKER_URL", "amqp://host", check_queue, ["rollouts.E004"]),
    ],
)
def test_a_wrong_setting_is_named_with_a_hint(settings, setting, value, check, expected):
    setattr(settings, setting, value)
    assert ids(check()) == expected
