"""The closed loop against a real receiver: asked once, signed, and rolled out only when it is better."""

from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from monitoring.domain.signing import signed_headers
from monitoring.models import ConceptReading, DriftReading
from registry.models import AuditEntry, LatestMetric, Version
from rollouts import hooks, retraining, tasks
from rollouts.domain.retraining import QualityFloor
from rollouts.errors import InvalidPlan, NotFound
from rollouts.models import RetrainingRun, Rollout
from rollouts.tests.cast import FAST
from rollouts.tests.test_retraining_policy import DOCUMENT
from rollouts.tests.web_cast import sign_in

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL, PAGE = "/api/v1/endpoints/churn-production/retraining", "/endpoints/churn-production/retraining"
POLICY = {
    **DOCUMENT, "parameters": FAST, "quality": None, "metrics": [{"name": "auc", "better": "higher", "limit": 0.8}],
}  # fmt: skip


@pytest.fixture
def secret(receiver, endpoint, author):
    _, secret = hooks.add_webhook(name="airflow", url=f"{receiver.url}/train", actor=author)
    retraining.set_policy(endpoint=endpoint, document=POLICY, actor=author, reason="as agreed")
    LatestMetric.objects.create(version=endpoint.stable.version, name="auc", value=0.85)
    return secret


def drifts(endpoint, *states, until=NOW):
    """Hourly readings of the stable version, the newest at `until`."""
    for ago, state in enumerate(reversed(states)):
        at = (until - timedelta(hours=ago)).timestamp()
        columns = [{"name": "age", "side": "inputs", "state": state, "psi": 0.5}]
        DriftReading.objects.create(
            endpoint=endpoint.name, model="churn", version="1", start=at - 3600, at=at, state=state,
            drifted=int(state == "drifted"), columns=columns,
        )  # fmt: skip


def tend(hours=0.0):
    retraining.tend((NOW + timedelta(hours=hours)).timestamp())
    return RetrainingRun.objects.first()


def returned(endpoint, key, auc=0.9, **changes):
    """The version that training registered."""
    number = Version.objects.filter(model=endpoint.model).count() + 1
    version = Version.objects.create(
        model=endpoint.model, number=number, digest=f"sha256:{number:064x}", size=10, format="onnx",
        profile=endpoint.stable.version.profile, **{"training_run": key, **changes},
    )  # fmt: skip
    if auc is not None:
        LatestMetric.objects.create(version=version, name="auc", value=auc)
    return version


def test_drift_twice_in_a_row_asks_once_with_the_evidence_signed(endpoint, receiver, secret):
    drifts(endpoint, "drifted", "drifted")
    run = tend()
    assert (run.state, run.cause) == ("waiting", "version 1 drifted in the last 2 readings: age")
    (request,) = receiver.received
    assert request.json["type"] == "retraining.requested"
    assert request.json["data"] | {"evidence": 0} == {
        "run": run.key, "endpoint": "churn-production", "model": "churn", "version": 1, "cause": run.cause,
        "evidence": 0, "metrics": POLICY["metrics"],
    }  # fmt: skip
    assert request.json["data"]["evidence"]["columns"][0]["psi"] == 0.5
    expected = signed_headers(secret, delivery=run.key, at=NOW, body=request.body)
    assert {name: request.headers[name] for name in expected} == expected
    assert AuditEntry.objects.filter(action="retraining.ask").count() == 1
    tend(1)
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    "states", [("drifted",), ("drifted", "stable"), ("stable", "drifted"), ("no_data",) * 2]
)
def test_one_reading_or_an_old_one_asks_nobody(endpoint, receiver, secret, states):
    drifts(endpoint, *states)
    assert tend() is None
    DriftReading.objects.all().delete()
    drifts(endpoint, "drifted", "drifted", until=NOW - timedelta(days=3))
    assert tend() is None


def test_a_policy_that_is_off_asks_nobody(endpoint, receiver, secret, author):
    retraining.set_policy(endpoint=endpoint, document={**POLICY, "enabled": False}, actor=author)
    drifts(endpoint, "drifted", "drifted")
    assert tend() is None


def test_low_quality_asks_as_well(endpoint, receiver, secret, author):
    retraining.set_policy(
        endpoint=endpoint, document={**POLICY, "drift": False, "quality": DOCUMENT["quality"]}, actor=author
    )
    for ago in (2, 1):
        at = NOW.timestamp() - 3600 * ago
        ConceptReading.objects.create(
            endpoint=endpoint.name, version="1", name="label", start=at - 3600, at=at, kind="classes", n=500,
            metrics={"accuracy": 0.7},
        )  # fmt: skip
    run = tend()
    assert run.cause == "accuracy of version 1 is 0.7, worse than 0.85"
    assert run.evidence["quality"][0]["labels"] == 500


def test_the_cool_down_and_the_daily_cap_hold(endpoint, receiver, secret, author):
    document = {**POLICY, "cooldown_hours": 2, "daily_cap": 2}
    retraining.set_policy(endpoint=endpoint, document=document, actor=author)
    asked = []
    for hour in range(27):
        DriftReading.objects.all().delete()
        drifts(endpoint, "drifted", "drifted", until=NOW + timedelta(hours=hour))
        tend(hour)
        if RetrainingRun.objects.filter(state="waiting").update(state="expired"):
            asked.append(hour)
    assert asked == [0, 2, 24, 26]


def test_a_version_that_is_better_starts_its_own_rollout(endpoint, receiver, secret):
    drifts(endpoint, "drifted", "drifted")
    run = tend()
    version = returned(endpoint, run.key)
    run = tend(1)
    assert (run.state, run.outcome, run.version_id) == ("started", "auc 0.9 against 0.85", version.pk)
    rollout = Rollout.objects.get()
    assert (run.rollout_id, rollout.candidate.version_id, rollout.created_by) == (
        rollout.pk, version.pk, "slipway",
    )  # fmt: skip
    assert "version 1 drifted" in rollout.start_reason
    tend(2)
    assert Rollout.objects.count() == 1


def test_a_version_may_name_its_run_in_a_tag(endpoint, receiver, secret):
    drifts(endpoint, "drifted", "drifted")
    run = tend()
    returned(endpoint, "", tags={"retraining_run": run.key})
    assert tend(1).state == "started"


@pytest.mark.parametrize(("auc", "why"), [(0.84, "does not beat"), (0.79, "does not reach")])
def test_a_version_that_is_not_better_is_not_rolled_out(endpoint, receiver, secret, auc, why):
    drifts(endpoint, "drifted", "drifted")
    returned(endpoint, tend().key, auc=auc)
    run = tend(1)
    assert (run.state, why in run.outcome) == ("refused", True)
    assert not Rollout.objects.exists()
    assert AuditEntry.objects.filter(action="retraining.refused").count() == 1


def test_metrics_that_are_logged_later_are_waited_for(endpoint, receiver, secret):
    drifts(endpoint, "drifted", "drifted")
    version = returned(endpoint, tend().key, auc=None)
    assert tend(1).state == "waiting"
    LatestMetric.objects.create(version=version, name="auc", value=0.95)
    assert tend(2).state == "started"


def test_a_version_nobody_asked_for_starts_nothing(endpoint, receiver, secret):
    returned(endpoint, "rt_made_up")
    tend()
    assert not Rollout.objects.exists()


def test_while_another_rollout_is_under_way_the_version_waits(endpoint, receiver, secret, versions, author):
    from rollouts import services

    drifts(endpoint, "drifted", "drifted")
    run = tend()
    other = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters=FAST, actor=author, reason="x"
    )
    returned(endpoint, run.key)
    run = tend(1)
    assert run.state == "waiting"
    assert "rollout" in run.outcome
    assert list(Rollout.objects.all()) == [other]


def test_a_hook_that_is_away_is_asked_again_and_given_up(endpoint, receiver, secret):
    receiver.answer = lambda request: (503, {}, b"")
    drifts(endpoint, "drifted", "drifted")
    run = tend()
    assert (run.state, run.outcome, run.attempts) == ("asked", "The hook answered 503.", 1)
    for hour in range(1, 10):
        run = tend(hour)
    assert (run.state, run.attempts) == ("failed", retraining.ATTEMPTS)
    assert len({request.json["data"]["run"] for request in receiver.received}) == 1


def test_nothing_is_sent_where_nothing_may_be_sent(endpoint, receiver, secret, settings):
    settings.SLIPWAY_OUTBOUND_ALLOW = []
    drifts(endpoint, "drifted", "drifted")
    assert "refused" in tend().outcome
    assert not receiver.received


def test_a_run_that_nothing_comes_of_expires(endpoint, receiver, secret):
    drifts(endpoint, "drifted", "drifted")
    tend()
    assert tend(24 * 8).state == "expired"


def test_a_policy_names_a_hook_that_exists_and_a_plan_that_can_be_walked(endpoint, author, db):
    with pytest.raises(NotFound):
        retraining.set_policy(endpoint=endpoint, document=POLICY, actor=author)
    with pytest.raises(InvalidPlan):
        bad = {**POLICY, "enabled": False, "parameters": {"steps": "many"}}
        retraining.set_policy(endpoint=endpoint, document=bad, actor=author)


def client_of(people, name):
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(people[name])
    return client


@pytest.mark.parametrize(
    ("who", "read", "write"),
    [("viewer", 200, 403), ("engineer", 200, 403), ("release_manager", 200, 200), ("outsider", 403, 403)],
)
def test_who_may_set_the_policy(people, endpoint, secret, who, read, write):
    client = client_of(people, who)
    assert client.get(URL).status_code == read
    assert client.put(URL, {"policy": POLICY}, format="json").status_code == write
    assert client.get(f"{URL}/runs").status_code == read


def test_the_policy_and_the_runs_over_rest(people, endpoint, receiver, secret):
    client = client_of(people, "admin")
    assert client.get(URL).json()["policy"] == POLICY
    answer = client.put(URL, {"policy": {**POLICY, "hook": "nobody"}}, format="json")
    assert answer.status_code == 404
    answer = client.put(URL, {"policy": {**POLICY, "daily_cap": 0}}, format="json")
    assert (answer.status_code, answer.json()["field"]) == (400, "daily_cap")
    drifts(endpoint, "drifted", "drifted")
    run = tend()
    (item,) = client.get(f"{URL}/runs").json()["items"]
    assert (item["run"], item["state"], item["version"]) == (run.key, "waiting", None)


def test_the_page_shows_the_loop_and_sets_the_policy(client, people, endpoint, receiver, secret):
    drifts(endpoint, "drifted", "drifted")
    run = tend()
    page = sign_in(client, "viewer").get(PAGE).content.decode()
    assert run.key in page
    assert "<textarea" not in page
    form = {
        "enabled": "on", "hook": "airflow", "drift": "on", "quality": "on", "quality_label": "churned",
        "quality_metric": "accuracy", "quality_limit": "0.8", "quality_better": "higher", "readings": "3",
        "quality_min_labels": "50", "cooldown_hours": "12", "daily_cap": "2", "strategy": "canary",
        "metrics": "auc higher 0.8\r\nlog loss lower", "parameters": '{"steps": [50]}', "reason": "agreed",
    }  # fmt: skip
    assert sign_in(client, "viewer").post(PAGE, form).status_code == 403
    manager = sign_in(client, "release_manager")
    for wrong, told in (
        ({"parameters": "{"}, b"It is no JSON"),
        ({"daily_cap": "0"}, b"daily_cap_error"),
        ({"metrics": "auc"}, b"is no metric"),
        ({"quality_limit": ""}, b"quality_limit_error"),
        ({"hook": "nobody"}, b"hook_error"),
    ):
        bad = manager.post(PAGE, {**form, **wrong})
        assert (bad.status_code, told in bad.content) == (400, True), wrong
    assert manager.post(PAGE, form).status_code == 302
    policy = retraining.policy_of(endpoint)
    assert policy.quality == QualityFloor("churned", "accuracy", 0.8, "higher", 50)
    assert [(m.name, m.better, m.limit) for m in policy.metrics] == [
        ("auc", "higher", 0.8), ("log loss", "lower", None),
    ]  # fmt: skip
    assert (policy.enabled, policy.readings, policy.cooldown_hours, policy.daily_cap) == (True, 3, 12, 2)
    page = manager.get(PAGE).content.decode()
    assert "log loss lower" in page and "steps" in page
    off = {name: value for name, value in form.items() if name not in {"enabled", "quality"}}
    assert manager.post(PAGE, off).status_code == 302
    assert (retraining.policy_of(endpoint).enabled, retraining.policy_of(endpoint).quality) == (False, None)


def test_the_loop_is_a_duty(db):
    assert "retraining" in tasks.duties()
