"""Gates under a name: versions, plans that pin them, and trying them on rollouts that were."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from monitoring.adapters.memory import MemorySource
from monitoring.domain.judge import DEFAULT_GATES, Verdict, parse_gates
from registry import errors as registry_errors
from rollouts import dry_run, gate_templates, plan_templates, reconcile, services
from rollouts.errors import Conflict, Invalid, NotFound
from rollouts.models import GateTemplateVersion
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

pytestmark = pytest.mark.django_db
STRICT = [{"kind": "error_rate", "name": "errors", "max": 0.001}]
LAX = [{"kind": "error_rate", "name": "errors", "max": 0.5, "min_effect": 0.5}]


def save(author, gates=STRICT, name="strict", **place):
    return gate_templates.save_gates(name=name, gates=gates, actor=author, reason="because", **place)


def test_a_change_is_a_new_version_and_the_same_again_is_not(author):
    first, again = save(author), save(author)
    assert (first.number, again.pk) == (1, first.pk)
    assert save(author, LAX).number == 2
    assert first.gates[0]["min_samples"] == 20, "defaults are written out, so a version never changes"
    with pytest.raises(registry_errors.Conflict, match="immutable"):
        GateTemplateVersion.objects.filter(pk=first.pk).update(gates=[])


def test_a_plan_takes_gates_by_name_and_has_its_own_copy(author, endpoint, versions):
    save(author)
    rollout = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters={**FAST, "gates": "strict"},
        actor=author, reason="try",
    )  # fmt: skip
    save(author, LAX)
    rollout.refresh_from_db()
    assert rollout.plan["gates"][0]["max"] == 0.001
    assert rollout.parameters["gates"] == "strict@1", "a retry takes the same gates"


def test_a_named_version_is_taken_and_an_unknown_one_is_refused(author, endpoint):
    save(author)
    save(author, LAX)
    plan = services.preview(endpoint=endpoint, strategy="canary", parameters={**FAST, "gates": "strict@1"})
    assert plan.gates[0]["max"] == 0.001
    for reference in ("strict@3", "unknown", "@", "strict@x"):
        with pytest.raises(Invalid) as refused:
            services.preview(endpoint=endpoint, strategy="canary", parameters={**FAST, "gates": reference})
        assert refused.value.field == "gates"


def test_gates_of_another_model_or_environment_do_not_fit(author, endpoint):
    staging = services.create_environment(name="staging", actor=author)
    save(author, environment=staging)
    with pytest.raises(Invalid, match="fit churn-production"):
        services.preview(endpoint=endpoint, strategy="canary", parameters={**FAST, "gates": "strict"})
    with pytest.raises(Conflict):
        save(author, LAX)


def test_archived_gates_start_nothing_and_come_back_when_saved(author, endpoint):
    save(author)
    gate_templates.archive_gates(name="strict", actor=author, reason="old")
    with pytest.raises(Invalid):
        gate_templates.chosen("strict", endpoint)
    with pytest.raises(Conflict):
        gate_templates.archive_gates(name="strict", actor=author, reason="old")
    assert save(author).number == 2
    assert gate_templates.chosen("strict", endpoint).number == 2
    with pytest.raises(NotFound):
        gate_templates.template_by_name("nothing")


def test_a_plan_template_may_name_gates(author, endpoint):
    with pytest.raises(Invalid):
        plan_templates.save_template(
            name="p", strategy="canary", parameters={**FAST, "gates": "strict"}, actor=author, reason="r"
        )
    save(author)
    kept = plan_templates.save_template(
        name="p", strategy="canary", parameters={**FAST, "gates": "strict"}, actor=author, reason="r"
    )
    assert kept.parameters["gates"] == "strict"


@pytest.mark.parametrize("gates", [[], "x", [{"kind": "speed"}], [1], {}])
def test_bad_gates_are_never_kept(author, gates):
    with pytest.raises(Invalid):
        save(author, gates)


class Traffic:
    """Counters of both versions, growing with the driver's clock; the candidate fails 5 % of requests."""

    def __init__(self, source: MemorySource) -> None:
        self.source, self.total = source, 0

    def at(self, moment) -> None:
        self.total += 40
        for version, share in (("1", 0.0), ("2", 0.05)):
            labels = {"endpoint": "churn-production", "model": "churn", "model_version": version}
            bad = int(self.total * share)
            for status, value in (("ok", self.total - bad), ("error", bad)):
                self.source.add(
                    "model_predictions_total", {**labels, "status": status}, moment.timestamp(), float(value)
                )


@pytest.fixture
def promoted(endpoint, ports, versions, author):
    """A rollout that lax gates promoted although the candidate failed one request in twenty."""
    driver, traffic = Driver(endpoint, ports), Traffic(ports.metrics)
    driver.now = timezone.now() - timedelta(hours=1)
    for _ in range(2):
        traffic.at(driver.now)
        driver.tick()
    rollout = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters={**FAST, "gates": LAX},
        actor=author, reason="try",
    )  # fmt: skip
    for _ in range(200):
        driver.now += timedelta(seconds=1)
        traffic.at(driver.now)
        reconcile.tick(endpoint.pk, ports, driver.now)
        rollout.refresh_from_db()
        if rollout.phase == "succeeded":
            return rollout
    raise AssertionError(rollout.reason)


def test_a_dry_run_says_what_other_gates_would_have_said(promoted, endpoint, ports):
    since = timezone.now() - timedelta(days=30)
    (strict,) = dry_run.replay_endpoint(endpoint, parse_gates(STRICT), ports.metrics, since)
    assert strict.conclusion == "rolled back"
    assert strict.failed_at is not None and "error rate 5" in strict.failed_at.now.reason
    (lax,) = dry_run.replay_endpoint(endpoint, parse_gates(LAX), ports.metrics, since)
    assert lax.conclusion == "promoted"
    assert [look.now.verdict for look in lax.looks] == [look.then for look in lax.looks]
    promoted.refresh_from_db()
    assert promoted.phase == "succeeded", "nothing moved"


def test_a_dry_run_compares_with_the_stable_version_up_to_the_look_that_promoted(promoted, endpoint, ports):
    since = timezone.now() - timedelta(days=30)
    against_stable = [{"kind": "kayenta", "metrics": ["requests"], "points": 10, "step_seconds": 10}]
    (found,) = dry_run.replay_endpoint(endpoint, parse_gates(against_stable), ports.metrics, since)
    assert {look.weight for look in found.looks} <= {5, 25, 50}
    assert "no stable version" not in found.to_dict()["reason"]


def test_a_dry_run_without_the_data_of_then_promotes_nothing(promoted, endpoint):
    since = timezone.now() - timedelta(days=30)
    (gone,) = dry_run.replay_endpoint(endpoint, parse_gates(DEFAULT_GATES), MemorySource(), since)
    assert gone.conclusion == "unknown" and {look.now.verdict for look in gone.looks} == {Verdict.NO_DATA}
    assert "are gone from the metrics provider" in gone.to_dict()["reason"]
    assert dry_run.replay_endpoint(endpoint, parse_gates(STRICT), MemorySource(), timezone.now()) == []


@pytest.fixture
def metrics(ports, monkeypatch):
    for module in ("rollouts.api.gates", "rollouts.web.gate_pages"):
        monkeypatch.setattr(f"{module}.metrics_source", lambda: ports.metrics)


def test_rest_keeps_gates_and_tries_them(promoted, people, metrics):
    client = APIClient()
    client.force_authenticate(people["engineer"])
    kept = client.put("/api/v1/gates/strict", {"gates": STRICT, "reason": "fewer errors"}, format="json")
    assert kept.status_code == 200 and kept.json()["versions"][0]["number"] == 1
    assert [row["name"] for row in client.get("/api/v1/gates").json()["items"]] == ["strict"]
    tried = client.post(
        "/api/v1/dry-runs", {"endpoint": "churn-production", "gates": "strict"}, format="json"
    ).json()
    assert [row["would_have"] for row in tried["rollouts"]] == ["rolled back"]
    assert {look["then"] for look in tried["rollouts"][0]["looks"]} <= {"pass", "no_data", "inconclusive"}
    bad = client.put("/api/v1/gates/strict", {"gates": [{"kind": "x"}], "reason": "r"}, format="json")
    assert (bad.status_code, bad.json()["field"]) == (400, "gates[0].kind")
    assert client.delete("/api/v1/gates/strict", {"reason": "old"}, format="json").status_code == 200


def test_pages_keep_gates_and_show_verdicts_over_time(promoted, people, client, metrics):
    client.force_login(people["engineer"])
    form = {"name": "strict", "gates": '[{"kind": "error_rate", "max": 0.001}]', "reason": "fewer errors"}
    page = client.post("/gates/-/new", form, follow=True).content.decode()
    assert "strict@1 is kept" in page and "fewer errors" in page
    assert "strict" in client.get("/gates/").content.decode()
    tried = client.get("/gates/strict/", {"endpoint": "churn-production", "days": "30"}).content.decode()
    assert "Would have been rolled back" in tried
    assert "verdicts__cell--fail" in tried and f"Rollout {promoted.pk}" in tried
    question = client.get("/gates/strict/archive").content.decode()
    assert "No plan takes these gates any more" in question
    assert client.post("/gates/strict/archive", {"reason": "old"}).status_code == 302
    assert "/gates/strict/" not in client.get("/gates/").content.decode()
    assert "/gates/strict/" in client.get("/gates/?archived=1").content.decode()
    assert "/gates/strict/archive" not in client.get("/gates/strict/").content.decode()
    broken = client.post("/gates/-/new", {**form, "gates": "[{]"})
    assert broken.status_code == 400 and b"Line 1" in broken.content
    again = client.get("/gates/-/new?of=strict").content.decode()
    assert "0.001" in again
