"""Approvals on the pages: who is asked, who may answer, and what an answer says it will do."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from monitoring.domain.judge import Verdict
from registry.domain.actor import Actor
from rollouts import services
from rollouts.models import Approval, Endpoint, Environment, Look, Rollout, Transition
from rollouts.tests.cast import FAST, judgement

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
DIALOG = {**HTMX, "HTTP_HX_TARGET": "dialog"}
POLICY = {"approvals": [{"before": "promotion", "count": 2}]}


@pytest.fixture
def asked(endpoint, versions, as_user) -> Rollout:
    """A rollout that the user `admin` started, at 50 % and waiting for two approvals."""
    as_user("admin")
    Environment.objects.update(policy=POLICY)
    row = services.start_rollout(
        endpoint=Endpoint.objects.get(),
        version=versions[1],
        strategy="canary",
        parameters=FAST,
        actor=Actor(kind="user", name="admin", id=User.objects.get(username="admin").pk),
        reason="better recall",
    )
    step = next(at for at, step in enumerate(row.plan["steps"]) if step["kind"] == "approve")
    Rollout.objects.filter(pk=row.pk).update(phase="awaiting_approval", step=step)
    row.refresh_from_db()
    return row


def test_the_card_says_what_is_asked_and_what_an_answer_is_bound_to(as_user, asked):
    page = as_user("release_manager").get(f"/rollouts/{asked.pk}/").content.decode()
    assert "0 of 2 approvals by a release manager" in page
    assert "Send all traffic to the candidate and make it the stable version" in page
    assert asked.candidate.digest in page
    assert asked.plan_digest in page
    assert f'href="/rollouts/{asked.pk}/approve"' in page
    assert f'href="/rollouts/{asked.pk}/refuse"' in page


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("admin", "You started this rollout, so somebody else must approve it."),
        ("engineer", "This step asks for a release manager."),
        ("viewer", "This step asks for a release manager."),
    ],
)
def test_who_may_not_answer_reads_why_and_is_refused(as_user, asked, role, why):
    client = as_user(role)
    page = client.get(f"/rollouts/{asked.pk}/approval", **HTMX).content.decode()
    assert why in page
    assert f"/rollouts/{asked.pk}/approve" not in page
    assert client.get(f"/rollouts/{asked.pk}/approve").status_code == 409
    assert client.post(f"/rollouts/{asked.pk}/approve", {"reason": ""}).status_code == 403
    assert not Approval.objects.exists()


def test_an_approval_says_what_follows_and_is_shown_with_its_comment(as_user, asked):
    client = as_user("release_manager")
    question = client.get(f"/rollouts/{asked.pk}/approve", **DIALOG).content.decode()
    assert "1 more must follow before the rollout goes on." in question
    assert asked.plan_digest[:12] in question
    response = client.post(f"/rollouts/{asked.pk}/approve", {"reason": "recall is up"})
    assert response.url == f"/rollouts/{asked.pk}/"
    page = client.get(f"/rollouts/{asked.pk}/").content.decode()
    assert "1 of 2 approvals" in page
    assert "recall is up" in page
    assert "You have answered this already" in page
    assert client.post(f"/rollouts/{asked.pk}/approve", {"reason": ""}, **DIALOG).status_code == 409


def test_the_last_approval_says_that_the_rollout_goes_on(as_user, asked):
    as_user("release_manager").post(f"/rollouts/{asked.pk}/approve", {"reason": ""})
    Rollout.objects.filter(pk=asked.pk).update(author_id=None)
    question = as_user("admin").get(f"/rollouts/{asked.pk}/approve", **DIALOG).content.decode()
    assert "the rollout goes on at once with “send all traffic to the candidate" in question


def test_a_refusal_needs_a_reason_and_says_where_the_traffic_goes(as_user, asked):
    client = as_user("release_manager")
    question = client.get(f"/rollouts/{asked.pk}/refuse", **DIALOG).content.decode()
    assert "Sends 100 % of traffic back to v1 at once (v2 has 50 % now)." in question
    assert client.post(f"/rollouts/{asked.pk}/refuse", {"reason": " "}).status_code == 422
    assert client.post(f"/rollouts/{asked.pk}/refuse", {"reason": "biased"}).status_code == 302
    vote = Approval.objects.get()
    assert (vote.approve, vote.comment, vote.voter) == (False, "biased", "release_manager")


def test_nobody_is_asked_outside_an_approval_step(as_user, asked):
    Rollout.objects.filter(pk=asked.pk).update(phase="progressing", step=2)
    client = as_user("release_manager")
    page = client.get(f"/rollouts/{asked.pk}/").content.decode()
    assert f"/rollouts/{asked.pk}/approve" not in page
    response = client.get(f"/rollouts/{asked.pk}/approve")
    assert response.status_code == 409
    assert b"Nobody is asked to approve this rollout now." in response.content


def test_a_plan_without_approvals_has_no_card(as_user, endpoint, versions, author):
    row = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="shadow", parameters={}, actor=author, reason="look"
    )
    Rollout.objects.filter(pk=row.pk).update(phase="progressing", step=2)
    page = as_user("admin").get(f"/rollouts/{row.pk}/").content.decode()
    assert 'id="approval"' not in page
    assert f"/rollouts/{row.pk}/promote" not in page
    assert f"/rollouts/{row.pk}/break_glass" not in page


def test_the_glass_is_broken_by_those_who_may_promote(as_user, asked):
    url = f"/rollouts/{asked.pk}/break_glass"
    assert as_user("engineer").post(url, {"reason": "x"}).status_code == 403
    client = as_user("release_manager")
    assert f'href="{url}"' in client.get(f"/rollouts/{asked.pk}/").content.decode()
    question = client.get(url, **DIALOG).content.decode()
    assert "neither a freeze nor an approval holds the rollout of v2" in question
    assert client.post(url, {"reason": "patients wait"}).status_code == 302
    page = client.get(f"/rollouts/{asked.pk}/").content.decode()
    assert "Glass broken" in page
    assert url not in page


def test_the_earlier_success_comes_with_its_evidence(as_user, asked):
    earlier = Rollout.objects.get(pk=asked.pk)
    earlier.pk, earlier.phase, earlier.finished_at = None, "succeeded", timezone.now()
    earlier.save()
    Look.objects.create(
        rollout=earlier, number=1, at=timezone.now(), step=3, verdict="pass",
        judgement=judgement(Verdict.PASS, "as good as staging gets").to_dict(),
    )  # fmt: skip
    Rollout.objects.filter(pk=asked.pk).update(earlier=earlier)
    page = as_user("viewer").get(f"/rollouts/{asked.pk}/").content.decode()
    assert "The same artifact in production" in page
    assert f'href="/rollouts/{earlier.pk}/"' in page
    assert "As good as staging gets" in page


def test_a_long_timeline_is_paged(as_user, asked):
    Transition.objects.bulk_create(
        Transition(
            rollout=asked, number=number, at=timezone.now(), from_phase="progressing", to_phase="progressing",
            step=2, weight=5, actor="slipway", reason=f"entry {number} of many",
        )
        for number in range(2, 252)
    )  # fmt: skip
    client = as_user("viewer")
    page = client.get(f"/rollouts/{asked.pk}/").content.decode()
    assert f'href="/rollouts/{asked.pk}/timeline?before=52"' in page
    assert "entry 51 of many" not in page
    older = client.get(f"/rollouts/{asked.pk}/timeline?before=52").content.decode()
    assert "<html" in older
    assert "entry 51 of many" in older
    assert "entry 52 of many" not in older
    assert "hx-trigger" not in older.partition('id="timeline"')[2].partition(">")[0]
    assert "Older entries" not in older


def test_a_refused_page_says_it_once(as_user, endpoint):
    page = as_user("viewer").get("/rollouts/999/").content.decode()
    assert page.count("There is no rollout 999.") == 1
