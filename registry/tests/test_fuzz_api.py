"""Bad input never gives a 500: every route of the registry's API with arguments of wrong kinds.

`SLIPWAY_FUZZ=20000 pytest registry/tests/test_fuzz_api.py` looks longer than the suite does.
"""

import json

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from registry import services
from registry.domain.actor import SYSTEM
from registry.tests import fuzzing
from registry.tests.test_routes import API, path_of

NAMES = [
    "name",
    "owner_team",
    "description",
    "tags",
    "reason",
    "version",
    "alias",
    "upload",
    "files",
    "reference",
    "filename",
    "metadata",
    "notes",
    "points",
    "size",
    "digest",
    "keep",
    "user",
    "role",
    "team",
    "model",
    "scopes",
    "expires_at",
    "expires_in_days",
    "limit",
    "after",
    "filter",
    "search",
    "archive",
    "target",
    "actor",
    "action",
    "metrics",
    "hyperparameters",
    "dependencies",
    "feature_names",
    "parent",
    "label",
    "git_sha",
    "step",
    "value",
    "path",
    "wait",
]
TEXTS = [
    "", "churn", "1", "0", "-1", "champion", "a" * 300, "x\x00y", "\ud800", "é" * 200, "../..", "9" * 40, "1e400",
    "NaN", "2020-01-01", "9999-12-31T23:59:59Z", "null", "sha256:" + "0" * 64, "metrics.auc > 0.9", "metrics.auc > 1e999",
    "tags.x = 'y' and not (alias exists)", "number in (1, 2", "created > '0000-01-01'", "params.a = null", "(" * 40,
    "size > 99999999999999999999999", "parent = 1 or", "tags.'a' ~ '%_\\'", "engineer", "read", "team:growth", "7.3",
]  # fmt: skip
values = fuzzing.values(NAMES, TEXTS)
bodies = fuzzing.documents(NAMES, values)
headers = st.dictionaries(
    st.sampled_from(
        ["HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_RANGE", "HTTP_IDEMPOTENCY_KEY", "HTTP_ACCEPT"]
    ),
    st.sampled_from(
        ['"x"', "*", "bytes=5-1", "bytes=-", "bytes=99999999999999999999-", "é", "", "text/html", "a" * 300]
    ),
    max_size=2,
)


@pytest.fixture
def world(api, version, model):
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    services.create_service_account(name="ci", actor=SYSTEM)
    return api("admin")


@fuzzing.looked_for(80)
@given(row=st.sampled_from(API), changed=bodies, query=bodies, sent=headers, whole=st.none() | values)
def test_no_argument_of_any_route_gives_a_500(world, row, changed, query, sent, whole):
    name, method, _, body = row
    said = (body if isinstance(body, dict) else {}) | changed if whole is None else whole
    asked = dict(_texts(query).items())
    with transaction.atomic():
        world.raise_request_exception = False
        answer = world.generic(
            method, path_of("registry-api", name), json.dumps(said).encode(), content_type="application/json",
            query_params=asked | (_texts(body) if method == "GET" and isinstance(body, dict) else {}), **sent,
        )  # fmt: skip
        status, told = answer.status_code, b"" if answer.streaming else answer.content[:500]
        for close in answer._resource_closers:
            close()
        transaction.set_rollback(True)
    assert status < 500, (method, name, said, asked, sent, told)


def _texts(document):
    """What a query string can say."""
    return {key: fuzzing.sendable(value) for key, value in document.items()}


def test_no_field_takes_a_value_of_another_kind(world):
    """`reason` is a field of every change, whether or not its example says one."""
    world.raise_request_exception = False
    for name, method, _, body in API:
        fields = {**body, "reason": ""} if method != "GET" and isinstance(body, dict) and body else {}
        for field in fields:
            for value in (5.5, True, ["x"], {"a": [1]}, "x" * 30_000):
                said = json.dumps({**body, field: value}).encode()
                with transaction.atomic():
                    answer = world.generic(
                        method, path_of("registry-api", name), said, content_type="application/json"
                    )
                    transaction.set_rollback(True)
                told = (method, name, field, value, answer.content)
                assert answer.status_code in {400, 404, 413} and answer.json().get("field"), told
