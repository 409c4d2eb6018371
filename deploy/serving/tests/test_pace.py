"""Refusals leave at a bounded rate, and none is held for long."""

from __future__ import annotations

from deploy.serving import pace
from deploy.serving.pace import Pace


def test_few_refusals_leave_at_once_and_many_one_after_the_other(monkeypatch):
    now = 100.0
    monkeypatch.setattr(pace, "monotonic", lambda: now)
    paced = Pace(per_second=10, longest=0.5)
    waits = [round(paced.wait(), 6) for _ in range(8)]
    assert waits == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5]
    now += 5
    assert paced.wait() == 0.0


def test_nothing_is_held_while_the_server_drains():
    paced = Pace(per_second=0.001)
    paced.hold = False
    assert [paced.wait() for _ in range(3)] == [0.0] * 3
