from __future__ import annotations

import threading

import pytest
from django.db import connection

from registry.errors import DomainError
from registry.models import AuditEntry, Model, Version
from rollouts import services
from rollouts.errors import AlreadyRolling, Conflict, Invalid, InvalidPlan, WrongPhase
from rollouts.models import Endpoint, Release, Rollout
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

pytestmark = pytest.mark.django_db


@pytest.fixture
def start(endpoint, versions, author):
    def begin(version=None, **changes):
        values = {"strategy": "canary", "parameters": FAST, "reason": "better recall", **changes}
        return services.start_rollout(
            endpoint=Endpoint.objects.get(), version=version or versions[1], actor=author, **values
        )

    return begin


def untouched() -> bool:
    """Nothing half-written: no rollout, and no release but the stable one."""
    return not Rollout.objects.exists() and Release.objects.count() == 1


def test_a_rollout_pins_digest_and_plan(start, versions):
    rollout = start()
    assert rollout.candidate.digest == versions[1].digest
    assert [step["percent"] for step in rollout.plan["steps"] if step["kind"] == "set_weight"] == [5, 50]
    entry = AuditEntry.objects.get(action="rollout.start")
    assert (entry.actor_name, entry.reason) == ("ada", "better recall")


def test_a_version_cannot_be_rolled_out_onto_itself(start, versions):
    with pytest.raises(Invalid, match="serves version 1 already"):
        start(versions[0])
    assert untouched()


def test_a_version_of_another_model_is_refused(start):
    other = Version.objects.create(
        model=Model.objects.create(name="fraud"), number=1, digest="sha256:" + "f" * 64, size=1, format="onnx"
    )
    with pytest.raises(Invalid, match="not a version of the model"):
        start(other)
    assert untouched()


def test_a_format_that_the_server_does_not_run_is_refused(start, versions):
    pickled = Version.objects.create(
        model=versions[0].model, number=8, digest="sha256:" + "8" * 64, size=1, format="pickle"
    )
    with pytest.raises(Invalid, match="pickle"):
        start(pickled)
    assert untouched()


@pytest.mark.parametrize("steps", [[5, 150], [50, 5], []])
def test_a_bad_plan_writes_nothing(start, steps):
    with pytest.raises(InvalidPlan):
        start(parameters={**FAST, "steps": steps})
    assert untouched()


@pytest.mark.parametrize("reason", ["", "   ", "\x00"])
def test_a_reason_is_required(start, reason):
    with pytest.raises(Invalid, match="reason is required"):
        start(reason=reason)
    assert untouched()


def test_a_second_rollout_of_an_endpoint_is_refused(start, versions):
    first = start()
    with pytest.raises(AlreadyRolling, match="under way"):
        start(versions[2])
    assert list(Rollout.objects.all()) == [first]
    assert Release.objects.count() == 2


@pytest.mark.parametrize("name", ["Caps", "a_b", "", "-a", "a" * 54, "a/b", "ü", "a\n"])
def test_a_name_with_odd_characters_is_refused(versions, author, name):
    with pytest.raises(Invalid, match="cannot be used as a name"):
        services.create_environment(name=name, actor=author)


def test_one_model_has_one_endpoint_per_environment(endpoint, versions, author):
    with pytest.raises(Conflict):
        services.create_endpoint(
            name="another", environment=endpoint.environment, version=versions[1], actor=author
        )
    assert Endpoint.objects.count() == 1


def test_verbs_change_the_phase_and_leave_a_trace(start, author):
    rollout = start()
    rollout = services.pause(rollout=rollout_in_progress(rollout), actor=author, reason="lunch")
    assert rollout.phase == "paused"
    rollout = services.resume(rollout=rollout, actor=author, reason="back")
    assert rollout.phase == "provisioning"
    rollout = services.abort(rollout=rollout, actor=author, reason="no")
    assert rollout.phase == "rolling_back"
    with pytest.raises(WrongPhase):
        services.abort(rollout=rollout, actor=author, reason="again")
    actions = list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))[-3:]
    assert actions == ["rollout.pause", "rollout.resume", "rollout.abort"]


def rollout_in_progress(rollout: Rollout) -> Rollout:
    Rollout.objects.filter(pk=rollout.pk).update(phase="provisioning")
    return Rollout.objects.get(pk=rollout.pk)


def test_after_success_a_rollback_returns_to_the_previous_release_without_new_servers(
    start, endpoint, ports, author, monkeypatch
):
    from rollouts import reconcile

    driver = Driver(endpoint, ports)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)
    start()
    driver.until("succeeded")
    back = services.rollback_endpoint(endpoint=Endpoint.objects.get(), actor=author, reason="complaints")
    assert back.strategy == "instant"
    assert Release.objects.count() == 2
    driver.until("succeeded", most=6)
    endpoint.refresh_from_db()
    assert endpoint.stable.version.number == 1
    assert dict(ports.router.observed_route(endpoint.name).weights) == {"1": 100}


def test_a_rollback_during_a_rollout_aborts_it(start, endpoint, author):
    rollout = start()
    services.rollback_endpoint(endpoint=Endpoint.objects.get(), actor=author, reason="stop")
    rollout.refresh_from_db()
    assert rollout.phase == "rolling_back"


def test_there_is_nothing_to_go_back_to_before_a_first_success(endpoint, author):
    with pytest.raises(Conflict, match="no previous version"):
        services.rollback_endpoint(endpoint=endpoint, actor=author, reason="stop")


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_at_once_each_gets_one_clear_outcome(endpoint, versions, author):
    """Threads with a connection each: starts race for the one active rollout, aborts and pauses for its row."""
    outcomes: list[str] = []

    def attempt(number: int) -> None:
        try:
            target = Endpoint.objects.get(pk=endpoint.pk)
            if number % 2 == 0:
                services.start_rollout(
                    endpoint=target,
                    version=versions[1],
                    strategy="canary",
                    parameters=FAST,
                    actor=author,
                    reason="r",
                )
                outcomes.append("started")
            else:
                active = Rollout.objects.filter(endpoint=target).first()
                if active:
                    services.abort(rollout=active, actor=author, reason="r")
                    outcomes.append("aborted")
        except DomainError as error:
            outcomes.append(error.code)
        except Exception as error:  # noqa: BLE001 - anything else is what this test must find
            outcomes.append(f"unexpected {type(error).__name__}: {error}")
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("started") == 1
    assert not [outcome for outcome in outcomes if outcome.startswith("unexpected")]
    assert Rollout.objects.count() == 1


def test_a_version_that_serves_or_is_being_rolled_out_is_not_deleted(start, endpoint, versions, author):
    from registry.services import delete_alias, delete_version

    start()
    delete_alias(model=endpoint.model, name="champion", actor=author)
    for version, says in (
        (versions[0], "churn-production serves it"),
        (versions[1], "moves churn-production"),
    ):
        with pytest.raises(Conflict, match=says):
            delete_version(version=version, actor=author, reason="tidy")
    delete_version(version=versions[2], actor=author, reason="tidy")
    versions[2].refresh_from_db()
    assert versions[2].deleted_at is not None


def test_a_version_that_was_deleted_after_it_was_read_is_not_rolled_out(endpoint, versions, author):
    from registry.services import delete_version

    delete_version(version=Version.objects.get(pk=versions[1].pk), actor=author, reason="tidy")
    assert versions[1].deleted_at is None, "as a request that came before sees it"
    with pytest.raises(Invalid, match="was deleted"):
        services.start_rollout(
            endpoint=endpoint,
            version=versions[1],
            strategy="canary",
            parameters=FAST,
            actor=author,
            reason="r",
        )
    assert not Rollout.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_a_deletion_and_a_start_at_the_same_moment_one_is_refused(endpoint, versions, author):
    from registry.services import delete_version

    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def attempt(act):
        try:
            target, version = Endpoint.objects.get(pk=endpoint.pk), Version.objects.get(pk=versions[1].pk)
            barrier.wait(20)
            act(target, version)
            outcomes.append("done")
        except DomainError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    def start(target, version):
        services.start_rollout(
            endpoint=target, version=version, strategy="canary", parameters=FAST, actor=author, reason="r"
        )

    def delete(target, version):
        delete_version(version=version, actor=author, reason="tidy")

    threads = [threading.Thread(target=attempt, args=(act,)) for act in (start, delete)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deleted = Version.objects.get(pk=versions[1].pk).deleted_at is not None
    assert outcomes.count("done") == 1, outcomes
    assert Rollout.objects.exists() != deleted
