"""50 requests at once through the REST door: one outcome per rule, and never a server error.

Runs on SQLite, and once more on PostgreSQL by tests/servers/test_on_postgresql.py.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from django.db import connection
from rest_framework.test import APIClient

from monitoring.domain.judge import Verdict
from rollouts import reconcile
from rollouts.conftest import author, endpoint, people, ports, versions
from rollouts.domain.phases import TERMINAL
from rollouts.models import Approval, Endpoint, Environment, Rollout
from rollouts.reconcile import Ports
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

__all__ = ["author", "endpoint", "people", "ports", "versions"]
pytestmark = pytest.mark.django_db(transaction=True)
REQUESTS = 50
START = {"endpoint": "churn-production", "version": 2, "parameters": FAST, "reason": "better recall"}


@pytest.fixture
def running(endpoint: Endpoint, ports: Ports, people: object, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """`churn-production` with a rollout that has reached its first share."""
    driver = Driver(endpoint, ports, verdict=Verdict.NO_DATA)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)
    assert call(people["admin"], "rollouts", START) == 201
    driver.tick(5)
    assert latest().phase == "progressing"
    return driver


def call(user: object, path: str, body: dict[str, object]) -> int:
    """The status of one POST to the API, or of the exception that escaped it."""
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(user)
    return client.post(f"/api/v1/{path}", body, format="json").status_code


def latest() -> Rollout:
    return Rollout.objects.latest("id")


def at_once(attempts: list[Callable[[], int]]) -> list[int]:
    """What each attempt returned; all begin at the same moment, each in a thread with its own connection."""
    barrier = threading.Barrier(len(attempts))
    returned = [0] * len(attempts)

    def attempt(number: int) -> None:
        try:
            barrier.wait(60)
            returned[number] = attempts[number]()
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(len(attempts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not any(thread.is_alive() for thread in threads), "a request never ended"
    return returned


def verbs(user: object, names: Iterator[str] | list[str]) -> list[Callable[[], int]]:
    path = f"rollouts/{latest().pk}"
    return [lambda name=name: call(user, f"{path}/{name}", {"reason": name}) for name in names]


def assert_unbroken(rollout: Rollout) -> None:
    """Numbers without gaps; every move begins where the one before ended."""
    moves = list(rollout.transitions.order_by("number").values_list("number", "from_phase", "to_phase"))
    assert [move[0] for move in moves] == list(range(1, len(moves) + 1))
    assert all(before[2] == after[1] for before, after in pairwise(moves))


def test_of_50_starts_one_wins(endpoint: Endpoint, people: dict[str, object]) -> None:
    start = lambda: call(people["engineer"], "rollouts", START)  # noqa: E731
    assert Counter(at_once([start] * REQUESTS)) == {201: 1, 409: REQUESTS - 1}
    assert Rollout.objects.exclude(phase__in=sorted(TERMINAL)).count() == 1


def test_of_50_aborts_one_wins(running: Driver, people: dict[str, object]) -> None:
    answers = at_once(verbs(people["engineer"], ["abort"] * REQUESTS))
    assert Counter(answers) == {202: 1, 409: REQUESTS - 1}
    assert latest().transitions.filter(to_phase="rolling_back").count() == 1
    running.until("rolled_back")
    assert_unbroken(latest())


def test_of_50_promotions_one_wins(running: Driver, people: dict[str, object]) -> None:
    answers = at_once(verbs(people["admin"], ["promote"] * REQUESTS))
    assert Counter(answers) == {202: 1, 409: REQUESTS - 1}
    running.until("succeeded")
    assert Endpoint.objects.get().stable.version.number == 2
    assert_unbroken(latest())


def test_an_abort_wins_against_48_others_and_the_ticks(running: Driver, people: dict[str, object]) -> None:
    """Whatever the order: once an abort was accepted, no promotion, pause or resume brings traffic back."""
    # A promotion that ended before the abort came could only be refused an abort; this one cannot end yet.
    running.ports.router.frozen = True
    others = ["promote", "pause", "resume", "promote", "pause", "resume"] * 8
    answers = at_once([*verbs(people["admin"], [*others, "abort", "abort"]), *[lambda: ticked(running)] * 3])
    assert set(answers) == {0, 202, 409}
    assert answers[len(others) : len(others) + 2].count(202) == 1, "not exactly one abort was accepted"
    running.ports.router.frozen = False
    rollout = running.until("rolled_back", most=30)
    assert_unbroken(rollout)
    assert Endpoint.objects.get().stable.version.number == 1
    assert running.ports.router.observed_route("churn-production").weights == {"1": 100}


def ticked(driver: Driver) -> int:
    """A worker that ticks all the while."""
    for _ in range(5):
        reconcile.tick(driver.endpoint.pk, driver.ports, driver.now)
    return 0


@pytest.fixture
def asked(running: Driver, people: dict[str, object]) -> Driver:
    """The rollout waits for two release managers before all traffic moves."""
    running.tick()
    assert call(people["admin"], f"rollouts/{latest().pk}/abort", {"reason": "another policy"}) == 202
    running.until("rolled_back")
    policy = {"approvals": [{"before": "promotion", "count": 2}]}
    Environment.objects.update(policy=policy)
    assert call(people["engineer"], "rollouts", START) == 201
    running.verdict = Verdict.PASS
    running.until("awaiting_approval")
    return running


def test_of_50_approvals_of_one_person_one_counts(asked: Driver, people: dict[str, object]) -> None:
    answers = at_once([lambda: answer(people["release_manager"], "approve")] * REQUESTS)
    assert Counter(answers) == {201: 1, 409: REQUESTS - 1}
    assert Approval.objects.count() == 1
    asked.tick(3)
    assert latest().phase == "awaiting_approval", "one person is no quorum of two"
    assert answer(people["admin"], "approve") == 201
    asked.until("succeeded")
    assert_unbroken(latest())


def test_approvals_refusals_promotions_starts_and_an_abort_at_once(
    asked: Driver, people: dict[str, object]
) -> None:
    """Each person answers once, nobody starts a second rollout, and the abort is what happens."""
    managers = [people["release_manager"], people["admin"]]
    approve = [lambda who=who: answer(who, "approve") for who in managers * 10]
    refuse = [lambda who=who: answer(who, "refuse") for who in managers * 4]
    start = [lambda: call(people["engineer"], "rollouts", START)] * 10
    promote = verbs(people["admin"], ["promote"] * 10)
    abort = verbs(people["engineer"], ["abort"] * 2)
    returned = at_once([*approve, *refuse, *start, *promote, *abort])
    assert set(returned) <= {201, 202, 409}
    voted = returned[: len(approve) + len(refuse)]
    assert voted.count(201) == Approval.objects.count() <= 2
    assert set(returned[len(voted) : len(voted) + 10]) == {409}, "a second rollout began"
    assert returned[-2:].count(202) == 1
    rollout = asked.until("rolled_back")
    assert_unbroken(rollout)
    assert asked.ports.router.observed_route("churn-production").weights == {"1": 100}


def answer(user: object, name: str) -> int:
    return call(user, f"rollouts/{latest().pk}/{name}", {"comment": name})


def test_pauses_and_resumes_alternate(running: Driver, people: dict[str, object]) -> None:
    """Each accepted request is one move, and two of a kind never follow each other."""
    answers = at_once(verbs(people["engineer"], ["pause", "resume"] * (REQUESTS // 2)))
    assert set(answers) <= {202, 409}
    rollout = latest()
    clicks = list(rollout.transitions.filter(reason__in=["pause", "resume"]).order_by("number"))
    assert len(clicks) == answers.count(202)
    assert all(before.reason != after.reason for before, after in pairwise(clicks))
    assert_unbroken(rollout)
