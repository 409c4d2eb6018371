import gzip
import json
import time

import pytest
from rest_framework.test import APIClient

from monitoring.models import Prediction
from monitoring.tests.samples.records import label, prediction
from registry import tokens
from registry.domain.access import Scope
from registry.domain.actor import SYSTEM

PREDICTIONS, LABELS = "/api/v1/predictions", "/api/v1/labels"


def now_prediction(request_id="r1", **changes):
    return prediction(request_id, **{"at": time.time(), **changes})


@pytest.fixture
def sender(people):
    """A server's client: its token can do this and nothing else."""
    _, secret = tokens.create_token(user=people["engineer"], name="fleet", scopes=["ingest"], actor=SYSTEM)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def post(client, body, **headers):
    return client.generic("POST", PREDICTIONS, body, content_type="application/json", **headers)


def test_a_server_sends_batches_with_a_token_of_one_scope(sender):
    answer = sender.post(PREDICTIONS, {"records": [now_prediction(), {}]}, format="json")
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 1,
        "duplicates": 0,
        "refused": [
            {"index": 1, "reason": "endpoint: Expected 1 to 100 printable ASCII characters without spaces."}
        ],
    }
    assert sender.get("/api/v1/models").status_code == 403


def test_a_gzip_body_is_read(sender):
    body = gzip.compress(json.dumps({"records": [now_prediction("a"), now_prediction("b")]}).encode())
    answer = post(sender, body, HTTP_CONTENT_ENCODING="gzip")
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"records": {}}', {}, 400),
        (b'{"records": []}', {}, 400),
        (b'{"records": [1], "more": 2}', {}, 400),
        (b'{"records": [NaN]}', {}, 400),
        (json.dumps({"records": [{}] * 1001}).encode(), {}, 400),
        (b"plain", {"HTTP_CONTENT_ENCODING": "gzip"}, 400),
        (gzip.compress(b'{"records": []}')[:-9], {"HTTP_CONTENT_ENCODING": "gzip"}, 400),
        (b"x", {"HTTP_CONTENT_ENCODING": "br"}, 400),
        (gzip.compress(b" " * (5 << 20)), {"HTTP_CONTENT_ENCODING": "gzip"}, 413),
        (b" " * ((4 << 20) + 1), {}, 413),
    ],
    ids=["empty", "cut", "list", "no list", "none", "more", "nan", "many", "no gzip", "cut gzip", "br", "bomb", "large"],
)  # fmt: skip
def test_a_body_that_is_no_batch_is_refused_whole(sender, body, headers, status):
    answer = post(sender, body, **headers)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert not Prediction.objects.exists()


def test_a_record_of_any_shape_is_refused_alone(sender):
    strange = [None, 1, "x", [], {"endpoint": {}}, {"a\x00": 1}, now_prediction(outputs={"y\x00": [1]})]
    answer = sender.post(PREDICTIONS, {"records": [*strange, now_prediction()]}, format="json")
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert [item["index"] for item in answer.json()["refused"]] == list(range(7))


def test_too_much_is_told_when_to_come_again(sender, settings):
    settings.SLIPWAY_SAMPLES_PER_SECOND = 1
    records = [now_prediction(str(number)) for number in range(10)]
    assert sender.post(PREDICTIONS, {"records": records}, format="json").status_code == 202
    answer = sender.post(PREDICTIONS, {"records": [now_prediction("more")]}, format="json")
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 10
    assert answer.json()["code"] == "overloaded"


def test_labels_are_answered_with_what_became_of_them(sender):
    sender.post(PREDICTIONS, {"records": [now_prediction("a")]}, format="json")
    sender.post(LABELS, {"records": [label("a", 1)]}, format="json")
    records = [label("a", 1), label("a", True, name="bought"), label("late", "cat"), label("bad", None)]
    answer = sender.post(LABELS, {"records": records}, format="json")
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 2,
        "changed": 0,
        "duplicates": 1,
        "waiting": 1,
        "refused": [{"index": 3, "reason": "value: Expected a number."}],
    }


@pytest.mark.parametrize(
    ("who", "status"), [("viewer", 403), ("engineer", 202), ("admin", 202), ("outsider", 403), (None, 401)]
)
@pytest.mark.parametrize("path", [PREDICTIONS, LABELS])
def test_only_engineers_send(people, who, status, path):
    client = APIClient(raise_request_exception=False)
    if who:
        client.force_authenticate(people[who])
    record = now_prediction() if path == PREDICTIONS else label()
    assert client.post(path, {"records": [record]}, format="json").status_code == status


def test_a_token_of_one_model_speaks_for_its_endpoints_only(people, endpoint):
    _, secret = tokens.create_token(
        user=people["engineer"],
        name="churn",
        scopes=["ingest"],
        scope=Scope(model=endpoint.model_id),
        actor=SYSTEM,
    )
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    records = [now_prediction("a"), now_prediction("b", endpoint="spam-production")]
    answer = client.post(PREDICTIONS, {"records": records}, format="json")
    assert answer.json()["accepted"] == 1
    assert answer.json()["refused"][0]["reason"].startswith("endpoint: This token may not")
