"""Shadow comparison over REST and as pages."""

import pytest
from rest_framework.test import APIClient

from monitoring.samples.ingest import take_predictions
from monitoring.tests.samples.records import NOW, prediction
from rollouts.tests.web_cast import sign_in

AROUND = {"start": "2026-09-21T14:00:00Z", "end": "2026-09-21T15:00:00Z"}
URL = "/api/v1/endpoints/churn-production/comparison"
PAGE = "/endpoints/churn-production/comparison"


def both(request_id, stable, candidate, **changes):
    return [
        prediction(request_id, "1", value=stable, **changes),
        prediction(request_id, "2", value=candidate, mirrored=True, **changes),
    ]


@pytest.fixture
def api(people, endpoint):
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(people["viewer"])
    return client


@pytest.fixture
def viewer(client, endpoint):
    return sign_in(client, "viewer")


def test_the_comparison_over_rest_names_the_worst_requests(api):
    take_predictions([*both("far", 0.1, 0.9, segment={"plan": "a"}), *both("near", 0.5, 0.5)], NOW)
    query = {"stable": "1", "candidate": "2", **AROUND}
    answer = api.get(URL, query)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["pairs"], body["agreed"], body["agreement"]) == (2, 1, 0.5)
    assert body["worst"][0]["request_id"] == "far"
    (segment,) = body["segments"]
    assert (segment["segment"], segment["pairs"]) == ("plan=a", 1)
    assert [item["request_id"] for item in segment["worst"]] == ["far"]


@pytest.mark.parametrize(
    "changes",
    [
        {"stable": ""},
        {"start": "yesterday"},
        {"start": "2026-13-45T00:00:00Z"},
        {"start": "2026-09-21T14:00:00"},
        {"start": AROUND["end"], "end": AROUND["start"]},
        {"tolerance": "-1"},
        {"tolerance": "nan"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(api, changes):
    query = {"stable": "1", "candidate": "2", **AROUND, **changes}
    assert api.get(URL, query).status_code == 400


def test_the_page_lists_disagreements_with_links_to_the_requests(viewer):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    far = both("far/1?x", 0.1, 0.9, segment={"plan": "a"}, trace_id=trace)
    take_predictions([*far, *both("near", 0.5, 0.5)], NOW)
    query = {"stable": "1", "candidate": "2", **AROUND}
    page = viewer.get("/endpoints/churn-production/comparison", query)
    assert page.status_code == 200
    assert b"50.00 %" in page.content
    link = "/endpoints/churn-production/requests/far/1%3Fx"
    assert page.content.count(f'href="{link}"'.encode()) == 2, "in its segment, and among the worst of all"
    request = viewer.get(link)
    assert request.status_code == 200
    assert b"copy, seen by nobody" in request.content
    assert request.content.count(trace.encode()) == 2, "the trace of either answer"
    assert viewer.get("/endpoints/churn-production/requests/unknown").status_code == 404


def test_a_fragment_without_pairs_is_empty(viewer):
    query = {"stable": "1", "candidate": "2", **AROUND}
    answer = viewer.get("/endpoints/churn-production/comparison", query, HTTP_HX_REQUEST="true")
    assert (answer.status_code, answer.content.strip()) == (200, b"")


def test_who_has_no_role_sees_no_comparison(client, people, endpoint):
    query = {"stable": "1", "candidate": "2"}
    assert client.get(PAGE, query).status_code == 302
    assert sign_in(client, "outsider").get(PAGE, query).status_code == 403
    outsider = APIClient(raise_request_exception=False)
    assert outsider.get(URL, query).status_code == 401
    outsider.force_authenticate(people["outsider"])
    assert outsider.get(URL, query).status_code == 403


def test_an_endpoint_that_does_not_exist_is_not_found(api, viewer):
    query = {"stable": "1", "candidate": "2"}
    assert api.get(URL.replace("churn", "spam"), query).status_code == 404
    assert viewer.get(PAGE.replace("churn", "spam"), query).status_code == 404
