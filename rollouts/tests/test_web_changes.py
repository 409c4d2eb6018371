from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from registry.models import AuditEntry
from rollouts import services
from rollouts.models import Endpoint, Rollout
from rollouts.tests.cast import FAST
from rollouts.tests.web_cast import sign_in

pytestmark = pytest.mark.django_db
DIALOG = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "dialog"}
START = {
    "endpoint": "churn-production",
    "version": "2",
    "strategy": "canary",
    "steps": "5, 50",
    "hold_seconds": "10",
    "analyse_seconds": "20",
    "interval_seconds": "5",
    "reason": "better recall",
}


@pytest.fixture
def engineer(as_user, endpoint):
    return as_user("engineer")


@pytest.fixture
def rollout(endpoint, versions, author) -> Rollout:
    return services.start_rollout(
        endpoint=endpoint,
        version=versions[1],
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="why not",
    )


def test_the_question_opens_in_a_dialog_or_as_a_page(engineer, rollout):
    Rollout.objects.filter(pk=rollout.pk).update(phase="progressing", step=2)
    url = f"/rollouts/{rollout.pk}/abort"
    dialog = engineer.get(url, **DIALOG).content.decode()
    page = engineer.get(url).content.decode()
    for text in ("Sends 100 % of traffic back to v1 at once", "Needs no metrics and no approval."):
        assert text in dialog
        assert text in page
    assert "<html" not in dialog
    assert "<html" in page


def test_rolling_back_needs_a_reason(engineer, rollout):
    response = engineer.post(f"/rollouts/{rollout.pk}/abort", {"reason": ""})
    assert response.status_code == 422
    assert b"Say why" in response.content
    assert Rollout.objects.get(pk=rollout.pk).phase == "pending"


def test_rolling_back_returns_to_the_rollout(engineer, rollout):
    response = engineer.post(f"/rollouts/{rollout.pk}/abort", {"reason": "wrong numbers"})
    assert response.status_code == 302
    assert response.url == f"/rollouts/{rollout.pk}/"
    row = Rollout.objects.get(pk=rollout.pk)
    assert (row.phase, row.reason) == ("rolling_back", "wrong numbers")
    assert AuditEntry.objects.filter(action="rollout.abort", actor_name="engineer").exists()


def test_from_the_dialog_the_whole_page_is_loaded_anew(engineer, rollout):
    response = engineer.post(f"/rollouts/{rollout.pk}/abort", {"reason": "wrong numbers"}, **DIALOG)
    assert response["HX-Redirect"] == f"/rollouts/{rollout.pk}/"


def test_a_verb_that_does_not_apply_is_refused_where_it_was_asked(engineer, rollout):
    response = engineer.post(f"/rollouts/{rollout.pk}/resume", {"reason": "go"}, **DIALOG)
    assert response.status_code == 409
    page = response.content.decode()
    assert "cannot resume" in page
    assert "<html" not in page


def test_a_viewer_may_not_roll_back(as_user, rollout):
    client = as_user("viewer")
    assert client.get(f"/rollouts/{rollout.pk}/abort").status_code == 403
    assert client.post(f"/rollouts/{rollout.pk}/abort", {"reason": "x"}).status_code == 403
    assert Rollout.objects.get(pk=rollout.pk).phase == "pending"


def test_an_engineer_may_not_promote_but_a_release_manager_may(as_user, rollout):
    Rollout.objects.filter(pk=rollout.pk).update(phase="progressing", step=2)
    url = f"/rollouts/{rollout.pk}/promote"
    assert as_user("engineer").post(url, {"reason": "x"}).status_code == 403
    assert as_user("release_manager").post(url, {"reason": "seen enough"}).status_code == 302
    assert Rollout.objects.get(pk=rollout.pk).phase == "promoting"


def test_pausing_and_resuming(engineer, rollout):
    Rollout.objects.filter(pk=rollout.pk).update(phase="progressing", step=2)
    assert engineer.post(f"/rollouts/{rollout.pk}/pause", {"reason": "wait"}).status_code == 302
    assert Rollout.objects.get(pk=rollout.pk).phase == "paused"
    assert engineer.post(f"/rollouts/{rollout.pk}/resume", {"reason": "go on"}).status_code == 302
    assert Rollout.objects.get(pk=rollout.pk).phase == "progressing"


def test_there_is_no_other_verb(engineer, rollout):
    assert engineer.get(f"/rollouts/{rollout.pk}/explode").status_code == 404


def test_forms_without_a_token_are_refused_with_help(rollout):
    strict = sign_in(Client(enforce_csrf_checks=True), "engineer")
    response = strict.post(f"/rollouts/{rollout.pk}/abort", {"reason": "x"})
    assert response.status_code == 403
    assert b"The form expired" in response.content
    assert Rollout.objects.get(pk=rollout.pk).phase == "pending"


def test_the_endpoints_rollback_aborts_what_is_under_way(engineer, rollout):
    url = "/endpoints/churn-production/rollback"
    assert b"Ends the rollout" in engineer.get(url, **DIALOG).content
    response = engineer.post(url, {"reason": "stop"})
    assert response.url == f"/rollouts/{rollout.pk}/"
    assert Rollout.objects.get(pk=rollout.pk).phase == "rolling_back"


def test_the_endpoints_rollback_goes_back_to_the_previous_release(engineer, endpoint, versions):
    previous = endpoint.releases.create(version=versions[2], digest=versions[2].digest)
    Endpoint.objects.filter(pk=endpoint.pk).update(previous=previous, previous_until=timezone.now())
    url = "/endpoints/churn-production/rollback"
    assert b"Roll back to v3" in engineer.get(url, **DIALOG).content
    response = engineer.post(url, {"reason": "v1 is slow"})
    row = Rollout.objects.get()
    assert response.url == f"/rollouts/{row.pk}/"
    assert (row.strategy, row.candidate_id) == ("instant", previous.pk)


def test_without_a_previous_release_the_rollback_says_what_to_do_instead(engineer):
    response = engineer.get("/endpoints/churn-production/rollback")
    assert response.status_code == 409
    assert b"Start a rollout of the version you want instead." in response.content


def test_a_rollout_is_started_from_the_form(engineer):
    response = engineer.post("/rollouts/new", START)
    row = Rollout.objects.get()
    assert response.url == f"/rollouts/{row.pk}/"
    assert (row.candidate.version.number, row.created_by, row.start_reason) == (
        2,
        "engineer",
        "better recall",
    )
    assert [step["percent"] for step in row.plan["steps"] if step["kind"] == "set_weight"] == [5, 50]


def test_the_form_opens_with_what_the_address_knows_and_a_preview(engineer):
    page = engineer.get("/rollouts/new?model=churn&version=3", follow=True).content.decode()
    assert '<option value="3" selected>' in page
    assert '<option value="1"' not in page
    assert "Send 25 % of the traffic to the candidate" in page


def test_without_an_endpoint_the_form_asks_for_one(engineer):
    assert b'<option value="churn-production">' in engineer.get("/rollouts/new").content
    assert b"No endpoint serves the model other yet." in engineer.get("/rollouts/new?model=other").content


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"steps": "10, 5"}, "steps[1]: weights must rise: 5 follows 10."),
        ({"steps": "5, 500"}, "steps[1]: 500 is outside 1 to 99."),
        ({"steps": "5, some"}, "steps[1]: &#x27;some&#x27; is not a whole number of percent."),
        ({"hold_seconds": "-1"}, "-1 is outside 0 to"),
        ({"gates": '[{"kind": "horoscope"}]'}, "Unknown gate kind &#x27;horoscope&#x27;"),
        ({"gates": "[{"}, "Line 1, column 3"),
        ({"version": "1"}, "1 is not one of the available choices"),
        ({"reason": ""}, "Say why this version is to be released."),
    ],
)
def test_a_mistake_is_shown_next_to_its_field_and_starts_nothing(engineer, changes, text):
    response = engineer.post("/rollouts/new", {**START, **changes})
    assert response.status_code == 422
    assert text in response.content.decode()
    assert not Rollout.objects.exists()


def test_a_second_rollout_of_the_endpoint_is_refused_above_the_form(engineer, rollout):
    response = engineer.post("/rollouts/new", {**START, "version": "3"})
    assert response.status_code == 422
    assert b"churn-production has a rollout under way." in response.content
    assert Rollout.objects.count() == 1


def test_the_box_replaces_the_rollout_under_way(engineer, rollout):
    assert b"Replace the rollout under way" in engineer.get("/rollouts/new?endpoint=churn-production").content
    response = engineer.post("/rollouts/new", {**START, "version": "3", "supersede": "on"})
    newer = Rollout.objects.latest("id")
    assert response.url == f"/rollouts/{newer.pk}/"
    assert newer.phase == "queued"
    assert Rollout.objects.get(pk=rollout.pk).phase == "rolling_back"
    page = engineer.get("/endpoints/churn-production/").content.decode()
    assert f"Rollout #{newer.pk}</a> starts as soon as" in page


def test_an_ended_rollout_can_be_tried_again(engineer, rollout):
    Rollout.objects.filter(pk=rollout.pk).update(phase="cancelled", finished_at=timezone.now())
    Endpoint.objects.filter(pk=rollout.endpoint_id).update(active=None)
    assert f"/rollouts/{rollout.pk}/retry" in engineer.get(f"/rollouts/{rollout.pk}/").content.decode()
    response = engineer.post(f"/rollouts/{rollout.pk}/retry", {"reason": "the data was late"})
    newer = Rollout.objects.latest("id")
    assert newer.pk != rollout.pk
    assert response.url == f"/rollouts/{newer.pk}/"
    assert newer.plan == rollout.plan


def test_the_preview_button_starts_nothing(engineer):
    response = engineer.post("/rollouts/new", {**START, "steps": "7", "reason": "", "preview": "1"})
    assert b"Send 7 % of the traffic to the candidate" in response.content
    assert not Rollout.objects.exists()


def test_the_preview_follows_the_form_and_says_what_is_wrong(engineer):
    good = engineer.post(
        "/rollouts/preview", {**START, "reason": ""}, HTTP_HX_REQUEST="true"
    ).content.decode()
    assert "Send 50 % of the traffic to the candidate" in good
    assert "Reaches 100 % after 1 min at the earliest" in good
    bad = engineer.post(
        "/rollouts/preview", {**START, "steps": "50, 5"}, HTTP_HX_REQUEST="true"
    ).content.decode()
    assert "steps[1]: weights must rise: 5 follows 50." in bad


def test_a_viewer_may_not_open_the_form(as_user, endpoint):
    assert as_user("viewer").get("/rollouts/new").status_code == 403
