from dataclasses import replace

import pytest

from monitoring.domain.notices import KIND, Severity
from rollouts.domain.announcements import Move, announce
from rollouts.domain.phases import MOVES, Phase

MOVE = Move(
    rollout=7,
    number=12,
    endpoint="churn-production",
    stable="1",
    candidate="2",
    from_phase="progressing",
    to_phase="paused",
    weight=5,
    actor="mary",
    reason="no decision after 60 s, a person must decide: 12 of 500 requests",
    step="analyse",
    ending=Phase.ROLLED_BACK,
)


def test_a_move_is_told_with_its_reason_its_share_its_author_and_its_place_in_the_timeline():
    said = announce(MOVE)
    assert said.title == "churn-production: the rollout of v2 is paused"
    assert said.text.splitlines() == [
        "no decision after 60 s, a person must decide: 12 of 500 requests.",
        "v2 is meant to have 5 % of the traffic, v1 the rest.",
        "Rollout 7, entry 12, by mary.",
    ]


@pytest.mark.parametrize(
    ("changes", "kind", "severity"),
    [
        ({"from_phase": "", "to_phase": "pending"}, "rollout.started", Severity.INFO),
        ({"to_phase": "progressing"}, "rollout.step", Severity.INFO),
        ({"to_phase": "awaiting_approval"}, "rollout.approval", Severity.WARNING),
        ({"to_phase": "awaiting_approval", "step": "hook"}, "rollout.hook", Severity.INFO),
        ({"to_phase": "paused"}, "rollout.paused", Severity.WARNING),
        ({"to_phase": "rolling_back"}, "rollout.rolling_back", Severity.WARNING),
        ({"to_phase": "rolling_back", "ending": Phase.CONCLUDED}, "rollout.rolling_back", Severity.INFO),
        ({"to_phase": "rolled_back"}, "rollout.rolled_back", Severity.WARNING),
        ({"to_phase": "failed"}, "rollout.failed", Severity.CRITICAL),
        ({"to_phase": "succeeded"}, "rollout.succeeded", Severity.INFO),
        ({"reason": "the glass was broken: fraud"}, "rollout.override", Severity.CRITICAL),
    ],
)
def test_what_needs_a_person_is_louder(changes, kind, severity):
    said = announce(replace(MOVE, **changes))
    assert (said.kind, said.severity) == (kind, severity)


def test_every_move_of_the_table_has_words():
    for source, targets in MOVES.items():
        for target in targets:
            said = announce(replace(MOVE, from_phase=source, to_phase=target, reason=""))
            assert KIND.fullmatch(said.kind)
            assert said.title and said.text.startswith("No reason was given.")
