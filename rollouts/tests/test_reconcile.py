"""The tick over a real database and a world in memory, with failures at every boundary."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from itertools import groupby

import pytest

from monitoring.domain.judge import Verdict
from registry.errors import NotFound, Unavailable
from registry.models import Version
from rollouts import claims, reconcile, services, store
from rollouts.domain.observed import RouteEdit
from rollouts.domain.snapshot import WorkloadStatus
from rollouts.errors import Invalid, LostRace, WrongPhase
from rollouts.models import Endpoint, Look, Rollout, Transition
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(endpoint, ports, monkeypatch) -> Driver:
    driver = Driver(endpoint, ports)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)
    return driver


@pytest.fixture
def rollout(driver, versions, author) -> Rollout:
    return services.start_rollout(
        endpoint=driver.endpoint,
        version=versions[1],
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="better recall",
    )


def shares(driver: Driver) -> dict[str, int]:
    return dict(driver.ports.router.observed_route(driver.endpoint.name).weights)


def test_an_endpoint_without_a_rollout_serves_its_stable_version(driver):
    assert shares(driver) == {"1": 100}
    assert list(driver.ports.cluster.observe(driver.endpoint.name)) == ["1"]


def test_there_is_no_route_until_the_first_server_is_ready(endpoint, ports):
    ports.cluster.override[endpoint.name, "1"] = WorkloadStatus(ready=0, desired=1)
    driver = Driver(endpoint, ports)
    driver.tick(3)
    assert ports.router.history == []
    ports.cluster.override.clear()
    driver.tick()
    assert shares(driver) == {"1": 100}


def test_a_good_version_is_promoted_step_by_step(driver, rollout):
    done = driver.until("succeeded")
    weights = [dict(world.route.split).get("2", 0) for world in driver.ports.router.history]
    assert [share for share, _ in groupby(weights)] == [0, 5, 50, 100]
    driver.endpoint.refresh_from_db()
    assert (driver.endpoint.stable, driver.endpoint.previous) == (done.candidate, done.stable)
    assert driver.endpoint.active is None
    assert done.finished_at is not None


def test_without_any_traffic_a_rollout_is_held_and_a_person_is_asked_in_the_end(
    endpoint, ports, versions, author
):
    """The real gates over a source that never saw a request: no promotion, no rollback, nobody is blamed."""
    driver = Driver(endpoint, ports)
    driver.tick(2)
    rollout = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters=FAST, actor=author, reason="x"
    )
    driver.until("paused")
    rollout.refresh_from_db()
    assert driver.now - rollout.created_at >= timedelta(seconds=FAST["deadline_seconds"])
    assert shares(driver) == {"1": 95, "2": 5}
    assert set(rollout.look_log.values_list("verdict", flat=True)) == {"no_data"}
    driver.tick(20, seconds=60)
    assert shares(driver) == {"1": 95, "2": 5}


def test_the_previous_version_stays_warm_for_its_window_and_then_goes(driver, rollout):
    driver.until("succeeded")
    driver.tick()
    assert set(driver.ports.cluster.observe(driver.endpoint.name)) == {"1", "2"}
    assert reconcile.retire_previous(driver.now) == 0
    driver.now += timedelta(hours=2)
    assert reconcile.retire_previous(driver.now) == 1
    driver.tick()
    assert set(driver.ports.cluster.observe(driver.endpoint.name)) == {"2"}


def test_a_bad_version_is_rolled_back_with_its_evidence(driver, rollout):
    driver.tick(6)
    driver.verdict = Verdict.FAIL
    done = driver.until("rolled_back")
    assert shares(driver) == {"1": 100}
    driver.tick()
    assert set(driver.ports.cluster.observe(driver.endpoint.name)) == {"1"}
    entry = done.transitions.get(to_phase="rolling_back")
    assert entry.evidence["verdict"] == "fail"
    assert entry.evidence["gates"][0]["name"] == "errors"
    assert entry.actor == "slipway"


def test_every_look_is_kept(driver, rollout):
    done = driver.until("succeeded")
    assert list(
        Look.objects.filter(rollout=done).order_by("number").values_list("number", flat=True)
    ) == list(range(1, done.looks + 1))


def test_transitions_are_numbered_without_gaps(driver, rollout):
    done = driver.until("succeeded")
    numbers = list(done.transitions.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    moves = list(done.transitions.values_list("from_phase", "to_phase"))
    assert all(before[1] == after[0] for before, after in zip(moves, moves[1:], strict=False))


def test_a_weight_that_was_accepted_but_is_not_in_effect_does_not_count(driver, rollout):
    driver.tick(1)
    driver.ports.router.frozen = True
    driver.tick(30)
    rollout.refresh_from_db()
    assert rollout.plan["steps"][rollout.step]["kind"] == "set_weight"
    driver.ports.router.frozen = False
    driver.until("succeeded")


def test_a_route_edited_by_hand_is_asserted_again(driver, rollout):
    driver.until("succeeded")
    driver.ports.router.effective.pop(driver.endpoint.name)
    driver.tick()
    assert shares(driver) == {"2": 100}


@pytest.mark.parametrize("trouble", [NotFound("no such artifact"), Unavailable("the store is away")])
def test_a_rollback_needs_neither_the_artifact_nor_its_store(driver, rollout, author, monkeypatch, trouble):
    while not shares(driver).get("2"):
        driver.tick()

    def gone(digest: str) -> str:
        raise trouble

    monkeypatch.setattr(driver.ports.artifacts, "path_or_uri", gone)
    services.abort(rollout=rollout, actor=author, reason="complaints")
    driver.until("rolled_back", most=5)
    assert shares(driver) == {"1": 100}
    assert "1" in driver.ports.cluster.observe(driver.endpoint.name), "what serves is left alone"


def test_a_candidate_whose_artifact_is_missing_is_never_served(driver, rollout, versions, monkeypatch):
    real = driver.ports.artifacts.path_or_uri

    def partly(digest: str) -> str:
        if digest == versions[1].digest:
            raise NotFound("no such artifact")
        return real(digest)

    monkeypatch.setattr(driver.ports.artifacts, "path_or_uri", partly)
    done = driver.until("rolled_back")
    assert "0 of 1 servers ready" in done.transitions.get(to_phase="rolling_back").reason
    assert all(dict(world.route.split) == {"1": 100} for world in driver.ports.router.history)
    assert shares(driver) == {"1": 100}


@pytest.mark.parametrize("side", ["cluster", "router"])
def test_an_outage_of_the_world_costs_only_time(driver, rollout, side):
    driver.tick(5)
    rollout.refresh_from_db()
    before = (rollout.phase, rollout.step)
    getattr(driver.ports, side).down = True
    driver.tick(40)
    rollout.refresh_from_db()
    assert (rollout.phase, rollout.step) == before
    driver.endpoint.refresh_from_db()
    assert "down" in driver.endpoint.observed["problem"]
    getattr(driver.ports, side).down = False
    driver.until("succeeded")


def test_a_rollback_happens_while_the_cluster_is_down(driver, rollout, author):
    driver.tick(5)
    driver.ports.cluster.down = True
    services.abort(rollout=rollout, actor=author, reason="looks wrong")
    driver.until("rolled_back", most=3)
    assert shares(driver) == {"1": 100}


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("boundary", ["observe", "_look", "decide", "record", "apply"])
def test_a_worker_killed_at_any_boundary_is_continued_by_the_next(driver, rollout, monkeypatch, boundary):
    owner = store if boundary == "record" else reconcile
    real = getattr(owner, boundary)

    def dies(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(owner, boundary, real)
        raise Killed

    for _ in range(60):
        monkeypatch.setattr(owner, boundary, dies)
        with contextlib.suppress(Killed):
            driver.tick()
        monkeypatch.setattr(owner, boundary, real)
        driver.tick()
    done = driver.until("succeeded")
    moves = list(done.transitions.values_list("step", "to_phase"))
    assert len(moves) == len(set(moves)), "a transition was doubled"


def test_a_slow_worker_cannot_undo_what_was_decided_after_it_looked(driver, rollout, author):
    driver.tick(5)
    slow = store.load(driver.endpoint.pk)
    assert slow.snapshot.weight == 5
    services.abort(rollout=rollout, actor=author, reason="stop")
    driver.tick()
    assert shares(driver) == {"1": 100}
    reconcile.apply(slow, reconcile.observe(driver.endpoint.name, driver.ports), driver.ports, driver.now)
    assert shares(driver) == {"1": 100}


def test_of_two_workers_that_decide_on_one_row_one_wins(driver, rollout):
    from registry.domain.actor import SYSTEM
    from rollouts.domain.machine import roll_back

    driver.tick(5)
    first, second = store.load(driver.endpoint.pk), store.load(driver.endpoint.pk)
    store.record(first, roll_back(first.snapshot, "one", driver.now), actor=SYSTEM, now=driver.now)
    with pytest.raises(LostRace):
        store.record(second, roll_back(second.snapshot, "two", driver.now), actor=SYSTEM, now=driver.now)
    assert Transition.objects.filter(rollout=rollout, to_phase="rolling_back").count() == 1


def test_a_tick_at_rest_costs_the_same_few_queries_whatever_happened_before(
    driver, rollout, django_assert_max_num_queries
):
    driver.until("succeeded")
    driver.tick()
    with django_assert_max_num_queries(2):
        driver.tick()


def test_a_due_endpoint_is_claimed_by_one_worker_only(driver):
    now = driver.now + timedelta(days=1)
    assert claims.due(now, timedelta(seconds=1)) == [driver.endpoint.pk]
    assert claims.due(now, timedelta(seconds=1)) == []
    assert claims.due(now + timedelta(seconds=1), timedelta(seconds=1)) == [driver.endpoint.pk]
    # A clock that was an hour ahead claimed it, and was set right.
    assert claims.due(now - timedelta(hours=1), timedelta(seconds=1)) == [driver.endpoint.pk]


def test_the_candidate_exposes_the_bins_of_the_stable_version_too(driver, versions, author):
    other = {**versions[0].profile, "outputs": [{**versions[0].profile["outputs"][0], "edges": [1.5, 9.0]}]}
    newcomer = Version.objects.create(
        model=versions[0].model, number=9, digest="sha256:" + "9" * 64, size=1, format="onnx", profile=other
    )
    rollout = services.start_rollout(
        endpoint=Endpoint.objects.get(),
        version=newcomer,
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="x",
    )
    assert rollout.candidate.histograms["outputs"][0]["edges"] == [1.0, 1.5, 2.0, 9.0]


def test_the_candidate_s_servers_get_its_run_times(driver, versions, author):
    latency = [{"batch": 1, "runs": 30, "p50_ms": 0.1, "p95_ms": 0.2}]
    newcomer = Version.objects.create(
        model=versions[0].model, number=9, digest="sha256:" + "9" * 64, size=1, format="onnx",
        inspection={"latency": latency},
    )  # fmt: skip
    rollout = services.start_rollout(
        endpoint=Endpoint.objects.get(),
        version=newcomer,
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="x",
    )
    assert rollout.candidate.histograms["latency"] == latency


def supersede(versions, author, version: int = 2) -> Rollout:
    return services.start_rollout(
        endpoint=Endpoint.objects.get(),
        version=versions[version],
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="newer",
        supersede=True,
    )


def test_a_newer_candidate_waits_until_the_older_one_gave_the_traffic_back(driver, rollout, versions, author):
    driver.tick(5)
    assert shares(driver) == {"2": 5, "1": 95}
    newer = supersede(versions, author)
    assert newer.phase == "queued"
    driver.ports.router.frozen = True
    driver.tick(5)
    newer.refresh_from_db()
    assert newer.phase == "queued", "the older one still had traffic"
    driver.ports.router.frozen = False
    done = driver.until("succeeded")
    assert done == newer
    rollout.refresh_from_db()
    assert rollout.phase == "superseded"
    assert done.stable == rollout.stable, "the original stable version stays the one to go back to"
    routes = [dict(world.route.split) for world in driver.ports.router.history]
    assert not [split for split in routes if "2" in split and "3" in split]


def test_of_two_newer_candidates_the_last_one_runs(driver, rollout, versions, author):
    driver.tick(5)
    second = supersede(versions, author)
    third = supersede(versions, author, 1)
    second.refresh_from_db()
    assert (second.phase, third.phase) == ("superseded", "queued")
    assert driver.until("succeeded") == third


def test_asking_for_the_stable_version_in_the_middle_is_a_rollback(driver, rollout, versions, author):
    driver.tick(5)
    back = supersede(versions, author, 0)
    assert back == rollout
    driver.until("rolled_back")
    assert Rollout.objects.count() == 1


def test_a_queued_rollout_can_be_cancelled(driver, rollout, versions, author):
    driver.tick(5)
    newer = supersede(versions, author)
    services.abort(rollout=newer, actor=author, reason="changed my mind")
    newer.refresh_from_db()
    assert newer.phase == "cancelled"
    driver.tick(5)
    driver.endpoint.refresh_from_db()
    assert (driver.endpoint.active, driver.endpoint.queued) == (None, None)
    assert shares(driver) == {"1": 100}


def test_a_rollout_cancelled_before_it_met_a_user_says_so(driver, rollout, author):
    driver.tick(1)
    services.abort(rollout=rollout, actor=author, reason="wrong version")
    assert driver.until("cancelled", most=5) == rollout


def test_a_rollout_that_failed_can_be_tried_again(driver, rollout, author):
    driver.tick(4)
    driver.verdict = Verdict.FAIL
    ended = driver.until("rolled_back")
    driver.verdict = Verdict.PASS
    again = services.retry(rollout=ended, actor=author, reason="the data centre was on fire")
    assert (again.candidate.version, again.plan) == (ended.candidate.version, ended.plan)
    assert driver.until("succeeded") == again
    with pytest.raises(WrongPhase, match="without success"):
        services.retry(rollout=again, actor=author, reason="once more")


def test_any_version_that_served_before_can_be_gone_back_to(driver, rollout, versions, author):
    driver.until("succeeded")
    third = supersede(versions, author)
    assert driver.until("succeeded") == third
    with pytest.raises(Invalid, match="never served"):
        stranger = Version.objects.create(
            model=versions[0].model, number=9, digest="sha256:" + "9" * 64, size=1, format="onnx"
        )
        services.rollback_endpoint(
            endpoint=Endpoint.objects.get(), version=stranger, actor=author, reason="complaints"
        )
    services.rollback_endpoint(
        endpoint=Endpoint.objects.get(), version=versions[0], actor=author, reason="complaints"
    )
    driver.until("succeeded", most=10)
    driver.tick()
    assert shares(driver) == {"1": 100}


def test_a_route_that_somebody_edited_is_shown_for_an_hour(driver, ports):
    ports.router.edit = RouteEdit({"1": 40, "2": 60}, {}, None, "kubectl-edit")
    driver.tick()
    driver.tick()
    driver.endpoint.refresh_from_db()
    found = driver.endpoint.observed["drift"]
    assert (found["weights"], found["by"]) == ({"1": 40, "2": 60}, "kubectl-edit")
    driver.tick(seconds=3500)
    driver.endpoint.refresh_from_db()
    assert driver.endpoint.observed["drift"] == found
    driver.tick(2, seconds=200)
    driver.endpoint.refresh_from_db()
    assert "drift" not in driver.endpoint.observed
