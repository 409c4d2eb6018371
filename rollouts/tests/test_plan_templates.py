"""Plans kept under a name: versions, where they fit, starting from them over REST and in the browser."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from registry.models import AuditEntry
from rollouts import plan_templates, services
from rollouts.errors import Conflict, Invalid
from rollouts.models import Environment, PlanTemplateVersion, Rollout
from rollouts.tests.cast import FAST
from rollouts.tests.web_cast import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def save(author):
    def saved(name="careful", parameters=FAST, strategy="canary", reason="reviewed", **place):
        return plan_templates.save_template(
            name=name, strategy=strategy, parameters=parameters, actor=author, reason=reason, **place
        )

    return saved


@pytest.fixture
def engineer(people) -> APIClient:
    client = APIClient()
    client.force_authenticate(people["engineer"])
    return client


def test_a_change_is_a_new_version_and_the_same_content_is_not(save):
    first, again = save(), save()
    second = save(parameters={**FAST, "steps": [1, 50]})
    assert (first.number, again.pk, second.number) == (1, first.pk, 2)
    assert PlanTemplateVersion.objects.get(pk=first.pk).parameters == FAST
    entries = AuditEntry.objects.filter(action="plan_template.save")
    assert [entry.target for entry in entries] == ["templates/careful"] * 2


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"parameters": {"steps": [50, 5]}}, "parameters.steps[1]"),
        ({"strategy": "yolo"}, "strategy"),
        ({"strategy": "instant"}, "strategy"),
        ({"name": "No Name"}, "name"),
        ({"reason": " "}, "reason"),
    ],
)
def test_a_plan_that_cannot_be_walked_is_not_kept(save, wrong, field):
    with pytest.raises(Invalid) as refused:
        save(**wrong)
    assert refused.value.field == field
    assert not PlanTemplateVersion.objects.exists()


def test_a_template_fits_its_model_and_its_environment(save, endpoint, author):
    staging = services.create_environment(name="staging", actor=author)
    save("anywhere")
    save("for-churn", model=endpoint.model)
    save("for-production", environment=endpoint.environment)
    save("for-staging", environment=staging)
    fitting = [row.name for row in plan_templates.templates_for(endpoint)]
    assert fitting == ["anywhere", "for-churn", "for-production"]
    with pytest.raises(Invalid, match="fits churn-production") as refused:
        plan_templates.chosen("for-staging", endpoint)
    assert "for-production" in refused.value.hint


def test_a_name_stays_with_its_place(save, endpoint):
    save()
    with pytest.raises(Conflict):
        save(model=endpoint.model)


def test_a_reference_is_the_newest_version_or_a_numbered_one(save, endpoint):
    save()
    save(parameters={**FAST, "steps": [1, 50]})
    assert plan_templates.chosen("careful", endpoint).number == 2
    assert plan_templates.chosen("careful@1", endpoint).parameters == FAST
    for wrong in ("careful@7", "careful@x", "@1", ""):
        with pytest.raises(Invalid):
            plan_templates.chosen(wrong, endpoint)


def test_an_archived_template_starts_nothing_until_it_is_saved_again(save, endpoint, author):
    save()
    plan_templates.archive_template(name="careful", actor=author, reason="too slow")
    with pytest.raises(Invalid):
        plan_templates.chosen("careful", endpoint)
    with pytest.raises(Conflict):
        plan_templates.archive_template(name="careful", actor=author, reason="too slow")
    assert save().number == 2, "coming back is a version of its own, with its reason"
    assert plan_templates.chosen("careful", endpoint).number == 2


def test_a_rollout_starts_from_a_template_over_rest(engineer, endpoint):
    body = {"strategy": "canary", "parameters": FAST, "model": "churn", "reason": "reviewed"}
    saved = engineer.put("/api/v1/templates/careful", body, format="json")
    assert saved.status_code == 200, saved.json()
    assert saved.json()["versions"][0]["number"] == 1
    start = {"endpoint": "churn-production", "version": 2, "template": "careful", "reason": "better recall"}
    preview = engineer.post("/api/v1/rollouts/preview", start, format="json").json()
    document = engineer.post("/api/v1/rollouts", start, format="json").json()
    assert document["template"] == "careful@1"
    rollout = Rollout.objects.get()
    assert rollout.plan == preview["plan"]
    assert rollout.parameters == FAST
    listed = engineer.get("/api/v1/templates?endpoint=churn-production").json()["items"]
    assert [item["name"] for item in listed] == ["careful"]


def test_given_parameters_stand_instead_of_the_templates(engineer, endpoint, save):
    save()
    start = {"endpoint": "churn-production", "version": 2, "template": "careful", "reason": "better recall"}
    document = engineer.post("/api/v1/rollouts", {**start, "parameters": {"steps": [40]}}, format="json")
    assert document.status_code == 201, document.json()
    assert Rollout.objects.get().parameters == {**FAST, "steps": [40]}
    clash = engineer.post("/api/v1/rollouts/preview", {**start, "strategy": "shadow"}, format="json")
    assert (clash.status_code, clash.json()["field"]) == (400, "strategy")
    unknown = engineer.post("/api/v1/rollouts/preview", {**start, "template": "other"}, format="json")
    assert (unknown.status_code, unknown.json()["field"]) == (400, "template")


def test_the_start_form_keeps_a_plan_and_begins_with_it(client, endpoint):
    browser = partial(sign_in, client)("engineer")
    typed = {
        "endpoint": "churn-production", "version": "2", "strategy": "canary", "fields_of": "canary",
        "steps": "3, 30", "hold_seconds": "5", "analyse_seconds": "20", "interval_seconds": "5",
        "reason": "our usual canary", "keep_as": "usual", "keep_for": "model environment",
    }  # fmt: skip
    kept = browser.post("/rollouts/new", {**typed, "keep": "1"})
    assert (kept.status_code, kept["Location"]) == (302, "/plans/usual/")
    assert not Rollout.objects.exists()
    version = PlanTemplateVersion.objects.get()
    assert version.template.environment == Environment.objects.get()
    assert version.parameters["steps"] == [3, 30]
    shown = browser.get("/plans/usual/").content.decode()
    assert "our usual canary" in shown
    assert "end 30 % of the traffic" in shown
    form = browser.get("/rollouts/new?endpoint=churn-production&version=2&template=usual").content.decode()
    assert 'value="3, 30"' in form
    assert 'value="usual@1"' in form
    with CaptureQueriesContext(connection) as queries:
        started = browser.post("/rollouts/new", {**typed, "template": "usual@1"})
    read = [query for query in queries if 'FROM "rollouts_plantemplate"' in query["sql"]]
    assert len(read) == 1, "the template is read once for a start"
    assert started.status_code == 302
    assert str(Rollout.objects.get().template) == "usual@1"


def test_a_changed_form_no_longer_says_that_it_is_the_template(client, endpoint, save):
    save()
    browser = sign_in(client, "engineer")
    typed = {
        "endpoint": "churn-production", "version": "2", "strategy": "canary", "fields_of": "canary",
        "steps": "3", "hold_seconds": "5", "analyse_seconds": "20", "interval_seconds": "5",
        "template": "careful@1", "reason": "better recall",
    }  # fmt: skip
    assert browser.post("/rollouts/new", typed).status_code == 302
    rollout = Rollout.objects.get()
    assert rollout.template is None
    assert rollout.parameters["ready_within_seconds"] == 30, "the form has no field for it: the template's"


def test_a_custom_plan_is_kept_as_it_was_written(client, endpoint, save):
    plan = {
        "steps": [{"kind": "provision"}, {"kind": "set_weight", "percent": 30}, {"kind": "promote"}],
    }
    save("by-hand", plan, "custom")
    form = sign_in(client, "engineer").get(
        "/rollouts/new?endpoint=churn-production&version=2&template=by-hand"
    )
    assert "kind: set_weight" in form.content.decode()


def test_a_template_that_does_not_fit_is_not_found(client, endpoint):
    browser = sign_in(client, "engineer")
    assert browser.get("/rollouts/new?endpoint=churn-production&template=other").status_code == 404
    assert browser.get("/plans/other/").status_code == 404


def test_the_pages_let_engineers_archive(client, endpoint, save):
    save()
    assert sign_in(client, "viewer").get("/plans/").status_code == 200
    assert sign_in(client, "viewer").get("/plans/careful/archive").status_code == 403
    browser = sign_in(client, "engineer")
    assert browser.get("/plans/careful/archive").status_code == 200
    assert browser.post("/plans/careful/archive", {"reason": "too slow"}).status_code == 302
    assert "careful" not in browser.get("/plans/").content.decode()
    assert "careful" in browser.get("/plans/?archived=1").content.decode()


def test_only_those_who_may_start_are_pointed_to_the_form(client, people, endpoint):
    for name, pointed in (("viewer", False), ("engineer", True)):
        client.force_login(people[name])
        page = client.get("/plans/").content.decode()
        assert ('href="/rollouts/new"' in page) is pointed
