"""A/B: how users are divided, what is compared, what people are told, and who decides."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.utils import timezone

from monitoring.domain.judge import GateResult, Judgement, Verdict
from monitoring.domain.window import Window
from monitoring.models import Label
from registry.domain.actor import Actor
from registry.domain.roles import Role
from rollouts import approvals, services
from rollouts.domain.desired import EndpointState, ReleaseSpec, desired_world
from rollouts.domain.phases import Phase
from rollouts.domain.plan import Arm, Experiment, Plan, SetWeight
from rollouts.domain.recommendation import recommendation
from rollouts.domain.strategies import compile_plan
from rollouts.errors import InvalidPlan
from rollouts.models import Endpoint
from rollouts.tests.cast import NOON, later, snapshot
from rollouts.tests.driving import Driver

GRACE = Actor(kind="user", name="grace", id=2)
TEST = {
    "outcome": "conversion",
    "experiment_seconds": 60,
    "interval_seconds": 10,
    "deadline_seconds": 30,
    # The samples of the guards live in a metrics source; here only the labels speak.
    "gates": [],
}


def ab(**parameters) -> Plan:
    return compile_plan("ab", parameters, replicas=1)


def test_half_of_the_users_meet_the_candidate_and_people_decide():
    plan = ab()
    assert [step.kind for step in plan.steps] == [
        "provision", "set_weight", "experiment", "approve", "promote", "retire",
    ]  # fmt: skip
    assert plan.steps[1] == SetWeight(50)
    assert [gate["kind"] for gate in plan.gates] == ["error_rate", "error_rate", "latency", "outcome"]
    assert Plan.from_dict(plan.to_dict()) == plan


def test_an_arm_is_named_by_a_header_or_by_a_cookie():
    plan = ab(arm={"cookie": "arm", "value": "b"}, experiment_seconds=60)
    assert plan.steps[1] == Arm("cookie", "arm", "b")
    assert plan.windows == ab(experiment_seconds=60).windows, "an arm is judged like a share"
    assert ab(arm={"header": "x-arm"}).steps[1] == Arm("header", "x-arm", "candidate")


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"key": "uid"}, "parameters.key"),
        ({"key": {"header": "a b"}}, "parameters.key.header"),
        ({"arm": {"header": "x", "cookie": "y"}}, "parameters.arm"),
        ({"arm": {"value": "b"}}, "parameters.arm"),
        ({"arm": {"header": "x", "value": "a;b"}}, "parameters.arm.value"),
        ({"arm": {"header": "x", "weight": 3}}, "parameters.arm.weight"),
        ({"arm": {"header": "x"}, "percent": 50}, "parameters.percent"),
        ({"percent": 100}, "parameters.percent"),
        ({"analyse_seconds": 5}, "parameters.analyse_seconds"),
        ({"approvals": 0}, "parameters.approvals"),
    ],
)
def test_a_bad_parameter_is_refused_with_its_path(parameters, field):
    with pytest.raises(InvalidPlan) as refused:
        ab(**parameters)
    assert refused.value.field == field


def test_a_bad_outcome_is_refused_with_the_path_of_its_parameter():
    from registry.errors import Invalid

    with pytest.raises(Invalid) as refused:
        ab(better="green")
    assert refused.value.field == "parameters.better"


def state() -> EndpointState:
    return EndpointState(
        "churn-production",
        "churn",
        1,
        ReleaseSpec("1", "sha256:1", 1),
        candidate=ReleaseSpec("2", "sha256:2", 1),
    )


def test_the_router_is_told_how_users_are_told_apart():
    split = desired_world(state(), snapshot(1, plan=ab(key={"cookie": "uid"}))).route
    assert (split.split, split.sticky) == ((("2", 50), ("1", 50)), ("cookie", "uid"))
    arm = desired_world(state(), snapshot(1, plan=ab(arm={"header": "x-arm", "value": "b"}))).route
    assert (arm.split, arm.preview) == ((("1", 100),), ("header", "x-arm", "b", "2"))
    over = desired_world(state(), snapshot(1, Phase.ROLLING_BACK, plan=ab(arm={"header": "x-arm"}))).route
    assert over.preview is None


def compared(lower: float, upper: float, better: str = "higher") -> Judgement:
    gate = GateResult(
        "outcome", "outcome", Verdict.PASS, "conversion 12 % vs 10 % stable", lower=lower, upper=upper,
        effect=(lower + upper) / 2, unit="ratio", alpha=0.01, details={"better": better},
    )  # fmt: skip
    return Judgement(Verdict.PASS, "all hold", (gate,), later(5), Window(NOON, later(5)))


def test_a_version_is_recommended_only_when_the_whole_interval_is_on_its_side():
    assert recommendation(compared(0.01, 0.03), "1", "2").startswith("v2 is recommended: conversion")
    assert recommendation(compared(-0.03, -0.01), "1", "2").startswith("v1 is recommended")
    neither = recommendation(compared(-0.01, 0.03), "1", "2")
    assert neither.startswith("neither version was shown to be better")
    assert neither.endswith("(the difference is -1 to +3 points with 99 % confidence)")
    assert recommendation(compared(-0.03, -0.01, "lower"), "1", "2").startswith("v2 is recommended")


@dataclass
class Labels:
    """Labels that name their version, as an application sends them."""

    endpoint: str
    sent: int = 0

    def send(self, driver: Driver, version: str, converted: int, of: int) -> None:
        at = (driver.now).timestamp() + 0.5
        Label.objects.bulk_create(
            Label(
                endpoint=self.endpoint, request_id=f"r{self.sent + at_}", name="conversion", version=version,
                number=float(at_ < converted), text="", at=at, received=at,
            )
            for at_ in range(of)
        )  # fmt: skip
        self.sent += of


@pytest.fixture
def experiment(endpoint: Endpoint, ports, versions, author):
    """A driver whose experiment has just opened its second arm, with the real judge."""

    def begin(**parameters) -> Driver:
        if "arm" not in parameters:
            parameters["key"] = {"cookie": "uid"}
        driver = Driver(endpoint, ports)
        driver.tick(2)
        services.start_rollout(
            endpoint=endpoint, version=versions[1], strategy="ab", parameters={**TEST, **parameters},
            actor=author, reason="does it convert better?",
        )  # fmt: skip
        driver.now = timezone.now()
        driver.tick(4)
        return driver

    return begin


def latest(driver: Driver):
    return driver.endpoint.rollouts.latest("id")


@pytest.mark.django_db
def test_the_better_arm_is_recommended_and_promoted_by_a_person(experiment):
    driver = experiment()
    labels = Labels(driver.endpoint.name)
    labels.send(driver, "1", 100, 1000)
    labels.send(driver, "2", 200, 1000)
    rollout = driver.until("awaiting_approval", most=80)
    assert "v2 is recommended: conversion 20.0 % vs 10.0 % stable over 1,000 predictions" in rollout.reason
    assert "points with" in rollout.reason
    evidence = rollout.transitions.get(to_phase="awaiting_approval").evidence
    gate = next(gate for gate in evidence["gates"] if gate["kind"] == "outcome")
    assert 0 < gate["lower"] < 0.1 < gate["upper"], "the interval holds the difference that was sent"
    assert dict(driver.ports.router.observed_route(driver.endpoint.name).weights) == {"2": 50, "1": 50}
    approvals.approve(rollout=rollout, actor=GRACE, role=Role.RELEASE_MANAGER)
    driver.until("succeeded")


@pytest.mark.django_db
def test_arms_that_do_not_differ_are_told_so_and_a_refusal_brings_all_traffic_back(experiment):
    driver = experiment()
    labels = Labels(driver.endpoint.name)
    labels.send(driver, "1", 100, 1000)
    labels.send(driver, "2", 104, 1000)
    rollout = driver.until("awaiting_approval", most=80)
    assert "neither version was shown to be better" in rollout.reason
    approvals.refuse(rollout=rollout, actor=GRACE, role=Role.RELEASE_MANAGER, comment="not worth it")
    driver.until("rolled_back")
    assert driver.ports.router.observed_route(driver.endpoint.name).weights == {"1": 100}


@pytest.mark.django_db
def test_the_arm_that_is_surely_worse_is_closed_before_the_time_is_over(experiment):
    driver = experiment(experiment_seconds=3600)
    labels = Labels(driver.endpoint.name)
    labels.send(driver, "1", 300, 1000)
    labels.send(driver, "2", 100, 1000)
    rollout = driver.until("rolled_back", most=60)
    look = rollout.look_log.get(verdict="fail")
    assert "worse by at least" in look.judgement["reason"]


@pytest.mark.django_db
def test_without_labels_nobody_is_promoted_and_a_person_is_asked(experiment):
    driver = experiment()
    rollout = driver.until("paused", most=150)
    assert "a person must decide" in rollout.reason


@pytest.mark.django_db
def test_an_arm_named_by_a_cookie_is_watched_from_the_moment_it_is_open(experiment):
    driver = experiment(arm={"cookie": "arm", "value": "b"})
    assert driver.ports.router.observed_route(driver.endpoint.name).preview == "2"
    rollout = latest(driver)
    assert isinstance(Plan.from_dict(rollout.plan).steps[rollout.step], Experiment)
    assert rollout.exposed_at is not None
    driver.tick(15)
    assert latest(driver).looks >= 1
    services.abort(rollout=rollout, actor=GRACE, reason="enough")
    driver.until("rolled_back")
    assert driver.ports.router.observed_route(driver.endpoint.name).preview is None
