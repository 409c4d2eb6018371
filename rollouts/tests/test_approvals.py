"""Approvals, policies, freezes and break-glass over a real database and a world in memory."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from monitoring.domain.judge import Verdict
from registry.domain.actor import Actor
from registry.domain.roles import Role
from registry.models import AuditEntry
from rollouts import approvals, queries, reconcile, services
from rollouts.domain.policy import Policy
from rollouts.errors import Conflict, Forbidden, Frozen, Invalid, InvalidPlan, NotFound, WrongPhase
from rollouts.models import Approval, Endpoint, Environment, FreezeWindow, Rollout
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

pytestmark = pytest.mark.django_db
ADA = Actor(kind="user", name="ada", id=1)
GRACE = Actor(kind="user", name="grace", id=2)
ALAN = Actor(kind="user", name="alan", id=3)
MANAGER, ENGINEER = Role.RELEASE_MANAGER, Role.ENGINEER
ONE_BEFORE_PROMOTION = {"approvals": [{"before": "promotion", "seconds": 600}]}


@pytest.fixture
def driver(endpoint, ports, monkeypatch) -> Driver:
    driver = Driver(endpoint, ports)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)
    return driver


@pytest.fixture
def start(driver, versions):
    def begin(policy=None, version=1, **changes) -> Rollout:
        if policy is not None:
            Environment.objects.update(policy=policy)
        values = {"strategy": "canary", "parameters": FAST, "actor": ADA, "reason": "better recall"}
        return services.start_rollout(
            endpoint=Endpoint.objects.get(name=driver.endpoint.name),
            version=versions[version],
            **{**values, **changes},
        )

    return begin


def shares(driver: Driver) -> dict[str, int]:
    return dict(driver.ports.router.observed_route(driver.endpoint.name).weights)


def test_nothing_starts_before_the_approval_that_the_policy_asks_for(driver, start):
    rollout = start({"approvals": [{"before": "start"}]})
    driver.until("awaiting_approval")
    driver.tick(10)
    assert list(driver.ports.cluster.observe(driver.endpoint.name)) == ["1"]
    approvals.approve(rollout=rollout, actor=GRACE, role=MANAGER, comment="numbers are fine")
    assert driver.until("succeeded") == rollout


def test_all_traffic_waits_for_the_approval_before_the_promotion(driver, start):
    rollout = start(ONE_BEFORE_PROMOTION)
    driver.until("awaiting_approval")
    assert shares(driver) == {"2": 50, "1": 50}
    approvals.approve(rollout=rollout, actor=GRACE, role=MANAGER)
    driver.until("succeeded")
    reasons = list(rollout.transitions.values_list("reason", flat=True))
    assert any(reason.startswith("approved by grace") for reason in reasons)


def test_a_blue_green_switch_waits_for_the_approval_too(driver, start):
    parameters = {"preview_seconds": 2, "analyse_seconds": 5, "interval_seconds": 2}
    rollout = start(ONE_BEFORE_PROMOTION, strategy="blue_green", parameters=parameters)
    driver.until("awaiting_approval")
    assert shares(driver) == {"1": 100}
    assert driver.ports.router.observed_route(driver.endpoint.name).preview == "2"
    approvals.approve(rollout=rollout, actor=GRACE, role=MANAGER)
    driver.until("succeeded")
    assert driver.ports.router.observed_route(driver.endpoint.name).preview is None


def test_nobody_approves_a_rollout_of_their_own(driver, start):
    rollout = start(ONE_BEFORE_PROMOTION)
    driver.until("awaiting_approval")
    with pytest.raises(Forbidden, match="somebody else"):
        approvals.approve(rollout=rollout, actor=ADA, role=MANAGER)
    Environment.objects.update(policy={**ONE_BEFORE_PROMOTION, "four_eyes": False})
    approvals.approve(rollout=rollout, actor=ADA, role=MANAGER)
    driver.until("succeeded")


def test_an_approval_counts_only_from_the_group_that_is_asked(driver, start):
    rollout = start(ONE_BEFORE_PROMOTION)
    driver.until("awaiting_approval")
    for role in (ENGINEER, Role.VIEWER, None):
        with pytest.raises(Forbidden, match="release manager"):
            approvals.approve(rollout=rollout, actor=GRACE, role=role)
    approvals.approve(rollout=rollout, actor=GRACE, role=Role.ADMIN)
    driver.until("succeeded")


def test_a_quorum_needs_different_people(driver, start):
    rollout = start({"approvals": [{"before": "promotion", "count": 2}]})
    driver.until("awaiting_approval")
    approvals.approve(rollout=rollout, actor=GRACE, role=MANAGER)
    with pytest.raises(Conflict, match="answered this already"):
        approvals.approve(rollout=rollout, actor=GRACE, role=MANAGER)
    driver.tick(5)
    assert Rollout.objects.get().phase == "awaiting_approval"
    approvals.approve(rollout=rollout, actor=ALAN, role=MANAGER)
    driver.until("succeeded")


def test_a_refusal_ends_the_rollout_with_its_reason(driver, start):
    rollout = start(ONE_BEFORE_PROMOTION)
    driver.until("awaiting_approval")
    with pytest.raises(Invalid, match="reason is required"):
        approvals.refuse(rollout=rollout, actor=GRACE, role=MANAGER, comment=" ")
    approvals.refuse(rollout=rollout, actor=GRACE, role=MANAGER, comment="recall fell for new users")
    driver.until("rolled_back")
    assert rollout.transitions.filter(reason="refused by grace: recall fell for new users").exists()
    assert shares(driver) == {"1": 100}


def test_an_approval_that_nobody_gives_expires(driver, start):
    start({"approvals": [{"before": "start", "seconds": 60}]})
    driver.until("awaiting_approval")
    driver.tick(1, seconds=61)
    driver.until("cancelled")


def test_an_answer_to_another_plan_or_artifact_counts_for_nothing(driver, start):
    rollout = start(ONE_BEFORE_PROMOTION)
    driver.until("awaiting_approval")
    rollout.refresh_from_db()
    for number, wrong in enumerate([{"digest": "sha256:other"}, {"plan_digest": "other"}]):
        values = {"digest": rollout.candidate.digest, "plan_digest": rollout.plan_digest, **wrong}
        Approval.objects.create(
            rollout=rollout,
            step=rollout.step,
            approve=True,
            voter=f"v{number}",
            voter_id=90 + number,
            **values,
        )
    driver.tick(5)
    assert Rollout.objects.get().phase == "awaiting_approval"


def test_nobody_is_asked_outside_an_approval_step(driver, start):
    rollout = start()
    driver.tick(4)
    with pytest.raises(WrongPhase, match="nobody is asked"):
        approvals.approve(rollout=rollout, actor=GRACE, role=MANAGER)


def test_a_promotion_by_hand_skips_no_approval(driver, start):
    rollout = start(ONE_BEFORE_PROMOTION)
    driver.tick(6)
    services.promote(rollout=rollout, actor=GRACE, reason="looks good")
    rollout.refresh_from_db()
    assert rollout.phase == "awaiting_approval"


def test_a_failed_gate_rolls_back_also_while_people_are_asked(driver, start):
    start(ONE_BEFORE_PROMOTION)
    driver.until("awaiting_approval")
    driver.verdict = Verdict.FAIL
    driver.until("rolled_back")


def test_an_abort_wins_against_an_approval(driver, start):
    rollout = start(ONE_BEFORE_PROMOTION)
    driver.until("awaiting_approval")
    approvals.approve(rollout=rollout, actor=GRACE, role=MANAGER)
    services.abort(rollout=rollout, actor=ALAN, reason="stop")
    driver.until("rolled_back")
    assert shares(driver) == {"1": 100}


def test_production_asks_for_a_success_in_staging_and_brings_its_evidence(driver, start, versions, ports):
    staging = services.create_environment(name="staging", actor=ADA)
    there = services.create_endpoint(
        name="churn-staging", environment=staging, version=versions[0], actor=ADA
    )
    Environment.objects.filter(name="production").update(policy={"after": "staging"})
    with pytest.raises(Conflict, match="has not succeeded in staging"):
        start()
    second = Driver(there, ports, now=driver.now)
    second.tick(2)
    done = services.start_rollout(
        endpoint=Endpoint.objects.get(pk=there.pk),
        version=versions[1],
        strategy="canary",
        parameters=FAST,
        actor=ADA,
        reason="try",
    )
    second.until("succeeded")
    assert start().earlier == done


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"approval": []}, "policy.approval"),
        ({"approvals": {}}, "policy.approvals"),
        ({"approvals": [{"before": "lunch"}]}, "policy.approvals[0].before"),
        ({"approvals": [{"before": "start", "count": 0}]}, "policy.approvals[0].count"),
        ({"four_eyes": "yes"}, "policy.four_eyes"),
        ({"after": "a/b"}, "policy.after"),
    ],
)
def test_a_bad_policy_is_refused_with_its_path(endpoint, policy, field):
    with pytest.raises(InvalidPlan) as caught:
        services.set_policy(environment=endpoint.environment, policy=policy, actor=ADA, reason="r")
    assert caught.value.field == field
    assert Environment.objects.get().policy == {}


def freeze(driver: Driver, **changes):
    values = {"starts_at": driver.now - timedelta(hours=1), "ends_at": driver.now + timedelta(hours=1)}
    return approvals.add_freeze(environment=None, reason="audit week", actor=GRACE, **{**values, **changes})


def test_a_freeze_stops_starts_and_says_until_when(driver, start):
    freeze(driver)
    with pytest.raises(Frozen, match="frozen until .*: audit week"):
        start()
    assert not Rollout.objects.exists()


def test_a_freeze_that_is_over_is_listed_among_the_ended_ones(driver):
    over, again = freeze(driver), freeze(driver, rule="FREQ=WEEKLY")
    past = timezone.now() - timedelta(minutes=1)
    FreezeWindow.objects.update(starts_at=past - timedelta(hours=1), ends_at=past)
    assert list(queries.freezes()) == [again]
    assert set(queries.freezes(ended=True)) == {over, again}


def test_a_freeze_in_the_middle_holds_the_share_and_never_a_rollback(driver, start):
    rollout = start()
    driver.tick(5)
    window = freeze(driver)
    driver.until("holding")
    driver.tick(30)
    assert shares(driver) == {"2": 5, "1": 95}
    with pytest.raises(Frozen):
        services.promote(rollout=rollout, actor=GRACE, reason="now")
    approvals.end_freeze(window_id=window.pk, actor=GRACE, reason="over early")
    assert driver.until("succeeded") == rollout


def test_a_rollback_goes_through_a_freeze(driver, start):
    rollout = start()
    driver.tick(5)
    freeze(driver)
    services.abort(rollout=rollout, actor=ALAN, reason="stop")
    driver.until("rolled_back")


def test_broken_glass_overrides_freeze_and_approval_and_is_on_record(driver, start):
    freeze(driver)
    rollout = start(ONE_BEFORE_PROMOTION, break_glass=True, reason="security fix")
    assert driver.until("succeeded") == rollout
    assert AuditEntry.objects.get(action="rollout.break_glass").reason == "security fix"


def test_the_glass_of_a_running_rollout_can_be_broken(driver, start):
    rollout = start(ONE_BEFORE_PROMOTION)
    driver.until("awaiting_approval")
    services.break_glass(rollout=rollout, actor=GRACE, reason="nobody answers")
    driver.until("succeeded")
    assert rollout.transitions.filter(reason="the glass was broken: nobody answers", actor="grace").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ends_at": datetime(2020, 1, 1, tzinfo=timezone.get_current_timezone())}, "ends_at"),
        ({"zone": "Mars/Olympus"}, "timezone"),
        ({"rule": "FREQ=SOMETIMES"}, "rule"),
        ({"reason": " "}, "reason"),
    ],
)
def test_a_bad_freeze_is_refused_with_its_field(driver, changes, field):
    with pytest.raises(Invalid) as caught:
        freeze(driver, **changes) if "reason" not in changes else approvals.add_freeze(
            environment=None,
            starts_at=driver.now,
            ends_at=driver.now + timedelta(hours=1),
            actor=GRACE,
            **changes,
        )
    assert caught.value.field == field


def test_what_served_when_is_known_to_the_second(driver, start):
    before = driver.now
    start()
    driver.until("succeeded")
    switched = queries.tenures(driver.endpoint)[0].start
    assert queries.tenure_at(driver.endpoint, switched).release.version.number == 2
    assert queries.tenure_at(driver.endpoint, switched - timedelta(seconds=1)).release.version.number == 1
    with pytest.raises(NotFound):
        queries.tenure_at(driver.endpoint, before - timedelta(days=1))


def test_a_shadow_measures_and_promotes_nothing(driver, start):
    parameters = {"mirror_percent": 100, "analyse_seconds": 10, "interval_seconds": 3}
    rollout = start(strategy="shadow", parameters=parameters)
    driver.until("progressing")
    driver.tick(2)
    assert driver.ports.router.observed_route(driver.endpoint.name).mirror == {"2": 100}
    driver.until("concluded")
    driver.tick()
    assert shares(driver) == {"1": 100}
    assert set(driver.ports.cluster.observe(driver.endpoint.name)) == {"1"}
    driver.endpoint.refresh_from_db()
    assert driver.endpoint.stable == rollout.stable
    with pytest.raises(WrongPhase):
        services.promote(rollout=rollout, actor=GRACE, reason="now")


def test_a_plan_written_by_hand_is_walked_as_written(driver, start):
    steps = [
        {"kind": "provision", "replicas": 1},
        {"kind": "set_weight", "percent": 30},
        {"kind": "approve", "count": 1, "group": "release_manager"},
        {"kind": "promote"},
    ]
    rollout = start(strategy="custom", parameters={"steps": steps})
    driver.until("awaiting_approval")
    assert shares(driver) == {"2": 30, "1": 70}
    approvals.approve(rollout=rollout, actor=GRACE, role=MANAGER)
    driver.until("succeeded")


@pytest.mark.parametrize(
    ("parity", "told"),
    [(None, "was never compared with"), ({"passed": False}, "differs from"), ({"passed": True}, "")],
)
def test_an_environment_may_ask_that_the_export_did_not_change_the_answers(start, versions, parity, told):
    versions[1].inspection = {"parity": parity}
    if not told:
        assert start({"parity": True}).phase == "pending"
        return
    for broken in (False, True):
        with pytest.raises(Conflict, match=told):
            start({"parity": True}, break_glass=broken)


@pytest.mark.parametrize(
    ("without", "starts"),
    [([], True), (["no_baseline"], True), (["warning"], False), (["no_baseline", "output_constant"], False)],
)
def test_an_environment_may_bar_findings_of_the_inspection(start, versions, without, starts):
    told = "Output 'y' is the same for every reference row."
    versions[1].findings = [{"code": "output_constant", "severity": "warning", "message": told}]
    if starts:
        assert start({"without": without}).phase == "pending"
        return
    for broken in (False, True):
        with pytest.raises(Conflict, match="does not take: Output 'y' is the same"):
            start({"without": without}, break_glass=broken)


def test_a_finding_that_there_is_not_cannot_be_barred():
    with pytest.raises(InvalidPlan, match="no such finding") as refused:
        Policy.from_dict({"without": ["warning", "sadness"]})
    assert refused.value.field == "policy.without[1]"
