from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.adapters.memory import MemorySource
from monitoring.domain.judge import Verdict
from monitoring.errors import MetricsUnavailable
from registry.domain.actor import Actor
from rollouts import services
from rollouts.models import Endpoint, Look, Rollout, Transition
from rollouts.tests.cast import FAST, judgement

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture(autouse=True)
def metrics(monkeypatch):
    """No scraper runs in these tests."""
    source = MemorySource()
    monkeypatch.setattr("rollouts.web.charts.metrics_source", lambda: source)
    return source


@pytest.fixture
def viewer(as_user):
    return as_user("viewer")


@pytest.fixture
def rollout(endpoint, versions, author: Actor) -> Rollout:
    """Version 2 takes over from version 1, at the author's wish."""
    return services.start_rollout(
        endpoint=endpoint,
        version=versions[1],
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="better recall",
    )


def ended(rollout: Rollout, cause: str = "output: PSI 0.4, above 0.2") -> Rollout:
    """The rollout, rolled back for `cause`."""
    now = timezone.now()
    for number, (before, after, why) in enumerate(
        [
            ("progressing", "rolling_back", cause),
            ("rolling_back", "rolled_back", "v1 serves all traffic again"),
        ],
        start=2,
    ):
        Transition.objects.create(
            rollout=rollout, number=number, at=now, from_phase=before, to_phase=after, step=2, weight=0,
            actor="slipway", reason=why, evidence=judgement(Verdict.FAIL).to_dict() if number == 2 else None,
        )  # fmt: skip
    Look.objects.create(
        rollout=rollout,
        number=1,
        at=now,
        step=2,
        verdict="fail",
        judgement=judgement(Verdict.FAIL, cause).to_dict(),
    )
    Rollout.objects.filter(pk=rollout.pk).update(
        phase="rolled_back", step=2, finished_at=now, reason="v1 serves all traffic again"
    )
    Endpoint.objects.filter(pk=rollout.endpoint_id).update(active=None)
    rollout.refresh_from_db()
    return rollout


def copies(rollout: Rollout, count: int) -> None:
    """So many more ended rollouts."""
    for _ in range(count):
        rollout.pk = None
        rollout.save()


def seen(endpoint: Endpoint, weights: dict[str, int]) -> None:
    """The last tick saw this split, and a ready server of each version."""
    workloads = {
        ref: {"ready": 1, "desired": 1, "restarts": 0, "failed": False, "message": ""} for ref in weights
    }
    observed = {"weights": weights, "workloads": workloads, "mirror": {}, "problem": ""}
    Endpoint.objects.filter(pk=endpoint.pk).update(observed=observed, observed_at=timezone.now())


def test_a_stranger_is_sent_to_sign_in(client, endpoint):
    response = client.get("/endpoints/")
    assert response.status_code == 302
    assert response.url.endswith("?next=/endpoints/")


def test_an_outsider_without_a_role_is_told_what_is_missing(as_user):
    response = as_user("outsider").get("/")
    assert response.status_code == 403
    assert b"This needs the permission" in response.content


def test_an_empty_overview_says_what_to_do_first(viewer):
    page = viewer.get("/").content.decode()
    assert 'First <a href="/models/">register a model and a version of it</a>' in page


def test_the_overview_shows_endpoints_and_what_happened(viewer, rollout):
    seen(rollout.endpoint, {"1": 95, "2": 5})
    ended(rollout)
    page = viewer.get("/").content.decode()
    assert "churn-production" in page
    assert "output: PSI 0.4, above 0.2" in page
    assert "Rolled back" in page


def test_the_start_page_polls_a_fragment_of_itself(viewer, rollout):
    page = viewer.get("/").content.decode()
    assert 'hx-get="/overview/live"' in page
    fragment = viewer.get("/overview/live", **HTMX).content.decode()
    assert "<html" not in fragment
    assert fragment.strip() in page


def test_an_endpoint_shows_releases_and_offers_no_rollback_without_a_previous_version(as_user, endpoint):
    page = as_user("release_manager").get("/endpoints/churn-production/").content.decode()
    assert 'href="/rollouts/new?endpoint=churn-production"' in page
    assert "endpoints/churn-production/rollback" not in page


def test_an_endpoint_with_a_previous_version_offers_the_rollback(as_user, endpoint, versions):
    previous = endpoint.releases.create(version=versions[2], digest=versions[2].digest)
    Endpoint.objects.filter(pk=endpoint.pk).update(
        previous=previous, previous_until=timezone.now() + timedelta(minutes=5)
    )
    page = as_user("engineer").get("/endpoints/churn-production/").content.decode()
    assert 'href="/endpoints/churn-production/rollback"' in page
    assert "warm until" in page


def test_an_endpoint_that_is_not_there_is_named(viewer):
    response = viewer.get("/endpoints/nowhere/")
    assert response.status_code == 404
    assert b"There is no endpoint &#x27;nowhere&#x27;." in response.content


def test_a_live_rollout_polls_until_it_is_over(viewer, rollout):
    url = f"/rollouts/{rollout.pk}"
    live = viewer.get(f"{url}/").content.decode()
    for part in ("status", "controls", "timeline"):
        assert f'hx-get="{url}/{part}" hx-trigger="every' in live
        assert "hx-trigger" in viewer.get(f"{url}/{part}", **HTMX).content.decode()
    ended(rollout)
    for part in ("status", "controls", "timeline"):
        assert f'hx-get="{url}/{part}"' not in viewer.get(f"{url}/{part}", **HTMX).content.decode()


def test_a_rollout_says_who_why_and_which_digest(viewer, rollout):
    page = viewer.get(f"/rollouts/{rollout.pk}/").content.decode()
    assert "ada" in page
    assert "better recall" in page
    assert f'title="{rollout.candidate.digest}"' in page


def test_intended_and_observed_weights_are_both_shown(viewer, rollout):
    Rollout.objects.filter(pk=rollout.pk).update(phase="progressing", step=4)
    seen(rollout.endpoint, {"1": 95, "2": 5})
    page = viewer.get(f"/rollouts/{rollout.pk}/status").content.decode()
    assert "v2 <strong>50 %" in page
    assert "v2 <strong>5 %" in page
    assert "does not do the intended split yet" in page


def test_a_route_that_somebody_edited_is_told_with_who_it_was(viewer, rollout):
    drift = {"at": timezone.now().isoformat(), "by": "kubectl-edit", "weights": {"1": 10, "2": 90}}
    Endpoint.objects.filter(pk=rollout.endpoint_id).update(observed={"weights": {"1": 100}, "drift": drift})
    page = " ".join(viewer.get(f"/rollouts/{rollout.pk}/").content.decode().split())
    assert "the route had been changed by <code>kubectl-edit</code> to v1 10 %, v2 90 %." in page


def test_a_rolled_back_rollout_shows_the_gate_that_failed_and_its_evidence(viewer, rollout):
    ended(rollout)
    page = viewer.get(f"/rollouts/{rollout.pk}/").content.decode()
    assert "output: PSI 0.4, above 0.2" in page
    assert "Evidence: 1 gate" in page
    assert 'badge badge--fail">Fail' in page


def test_a_viewer_sees_why_the_buttons_are_not_for_him(viewer, rollout):
    page = viewer.get(f"/rollouts/{rollout.pk}/").content.decode()
    assert 'aria-disabled="true"' in page
    assert "Your role lacks the permission" in page
    assert f"/rollouts/{rollout.pk}/abort" not in page


def test_text_from_people_is_escaped(viewer, rollout):
    Rollout.objects.filter(pk=rollout.pk).update(start_reason="<script>alert(1)</script>")
    assert b"<script>alert" not in viewer.get(f"/rollouts/{rollout.pk}/").content


def test_the_list_filters_by_phase_and_endpoint(viewer, rollout):
    assert f"#{rollout.pk}<" in viewer.get("/rollouts/?phase=active").content.decode()
    assert "No rollout matches" in viewer.get("/rollouts/?phase=succeeded").content.decode()
    assert f"#{rollout.pk}<" in viewer.get("/rollouts/?endpoint=churn-production").content.decode()
    assert "No rollout matches" in viewer.get("/rollouts/?endpoint=other").content.decode()
    assert viewer.get("/rollouts/?before=x&phase=nonsense").status_code == 200


def test_the_list_is_paged_by_the_last_id_shown(viewer, rollout):
    copies(ended(rollout), 50)
    first = viewer.get("/rollouts/").content.decode()
    ids = sorted(Rollout.objects.values_list("pk", flat=True), reverse=True)
    assert f"before={ids[49]}" in first
    second = viewer.get(f"/rollouts/?before={ids[49]}").content.decode()
    assert f"#{ids[50]}<" in second
    assert f"#{ids[49]}<" not in second
    assert "Older" not in second


def test_the_fragment_for_the_models_page_lists_only_its_live_rollouts(viewer, rollout):
    assert f"/rollouts/{rollout.pk}/" in viewer.get("/rollouts/live?model=churn").content.decode()
    assert "No endpoint serves this model" in viewer.get("/rollouts/live?model=other").content.decode()
    ended(rollout)
    assert "No rollout of this model" in viewer.get("/rollouts/live?model=churn").content.decode()


def test_charts_say_when_the_metrics_did_not_answer(viewer, rollout, metrics, monkeypatch):
    def silent(*args: object, **kwargs: object) -> None:
        raise MetricsUnavailable("Prometheus did not answer within 5 s.")

    monkeypatch.setattr("rollouts.web.charts.queries.endpoint_charts", silent)
    page = viewer.get(f"/rollouts/{rollout.pk}/charts", **HTMX).content.decode()
    assert "Prometheus did not answer within 5 s. The charts return by themselves" in page


def test_charts_are_a_page_of_their_own_without_javascript(viewer, endpoint):
    assert "<html" in viewer.get("/endpoints/churn-production/charts").content.decode()
    assert "<html" not in viewer.get("/endpoints/churn-production/charts", **HTMX).content.decode()


def test_charts_of_a_rollout_are_drawn_with_titles(viewer, rollout):
    page = viewer.get(f"/rollouts/{rollout.pk}/charts", **HTMX).content.decode()
    assert "Requests" in page
    assert "Latency p95" in page


@pytest.mark.parametrize(
    ("url", "budget"), [("/", 6), ("/rollouts/", 6), ("/endpoints/", 5), ("/endpoints/churn-production/", 9)]
)
def test_a_page_costs_the_same_queries_for_many_rows(
    viewer, rollout, django_assert_max_num_queries, url, budget
):
    copies(ended(rollout), 12)
    with django_assert_max_num_queries(budget):
        assert viewer.get(url).status_code == 200


def test_the_live_page_stays_within_its_query_budget(viewer, rollout, django_assert_max_num_queries):
    for number in range(2, 40):
        Transition.objects.create(
            rollout=rollout, number=number, at=timezone.now(), from_phase="progressing", to_phase="progressing",
            step=2, weight=5, actor="slipway", reason="again", evidence=judgement(Verdict.PASS).to_dict(),
        )  # fmt: skip
    with django_assert_max_num_queries(9):
        assert viewer.get(f"/rollouts/{rollout.pk}/").status_code == 200


def test_no_page_carries_inline_scripts_or_styles(as_user, rollout):
    client = as_user("admin")
    for url in (
        "/",
        "/endpoints/",
        "/rollouts/",
        f"/rollouts/{rollout.pk}/",
        "/rollouts/new?endpoint=churn-production",
    ):
        page = client.get(url).content.decode()
        assert " style=" not in page, url
        assert "<script>" not in page, url
        assert " onclick" not in page, url


def test_a_page_that_is_not_there_helps(viewer):
    response = viewer.get("/nothing/here")
    assert response.status_code == 404
    assert b"There is no page at <code>/nothing/here</code>" in response.content


def test_the_list_of_endpoints_has_their_figures_from_two_questions(viewer, rollout, monkeypatch):
    from monitoring.adapters.memory import MemorySource

    source, asked = MemorySource(), []
    now = timezone.now().timestamp()
    for second in (100, 1):
        labels = {"endpoint": rollout.endpoint.name, "status": "ok"}
        source.add("model_predictions_total", labels, now - second, 1200.0 if second == 1 else 0.0)
    for name in ("increase", "histogram"):
        real = getattr(source, name)
        monkeypatch.setattr(source, name, lambda *a, _real=real, **k: asked.append(a) or _real(*a, **k))
    monkeypatch.setattr("rollouts.web.figures.metrics_source", lambda: source)
    assert "10.0/s" not in viewer.get("/endpoints/").content.decode() and asked == []
    fragment = viewer.get("/endpoints/", headers={"HX-Request": "true"}).content.decode()
    assert "10.0/s" in fragment and "0.0 %" in fragment and "<html" not in fragment
    assert len(asked) == 2
    source.outage = "switched off"
    assert "switched off" in viewer.get("/endpoints/", headers={"HX-Request": "true"}).content.decode()
