"""Every route of monitoring against every role: the answer each may expect.

A route that is not in the table fails the test, so nobody adds one without deciding who may use it.
"""

import time

import pytest
from django.urls import get_resolver

from monitoring.tests.samples.records import label, prediction
from registry.domain.roles import Permission, permissions
from registry.tests.conftest import CAST

INGEST = Permission.INGEST
API = [
    ("predictions", "POST", INGEST, lambda: {"records": [prediction(at=time.time())]}),
    ("labels", "POST", INGEST, lambda: {"records": [label()]}),
]


def path_of(namespace, name):
    """The route filled in with what the fixtures have."""
    resolver = get_resolver().namespace_dict[namespace]
    return "/" + resolver[0] + resolver[1].reverse_dict.getlist(name)[0][0][0][0]


def names_in(namespace):
    return {key for key in get_resolver().namespace_dict[namespace][1].reverse_dict if isinstance(key, str)}


def test_the_table_names_every_route():
    assert {row[0] for row in API} == names_in("monitoring-api")


@pytest.mark.parametrize("who", [*CAST, None], ids=str)
@pytest.mark.parametrize(("name", "method", "needed", "body"), API, ids=lambda v: str(v)[:12])
def test_the_api_answers_each_role_as_the_table_says(api, who, name, method, needed, body):
    url = path_of("monitoring-api", name)
    answer = getattr(api(who), method.lower())(url, body(), format="json")
    if who is None:
        assert answer.status_code == 401
    elif needed not in permissions(CAST[who]):
        assert answer.status_code == 403
    else:
        assert answer.status_code in {200, 201, 202, 204}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", sorted({row[0] for row in API}))
def test_a_method_a_route_does_not_have_changes_nothing(api, name, method):
    if any(row[0] == name and row[1] == method for row in API):
        pytest.skip("the route has this method")
    answer = getattr(api("admin"), method.lower())(path_of("monitoring-api", name), {}, format="json")
    assert answer.status_code == 405
