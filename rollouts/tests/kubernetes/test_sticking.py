"""Clients stay with the version that they met, where a router can do that; where it cannot, a plan is refused."""

from __future__ import annotations

import re

import pytest
from rest_framework.test import APIClient

from rollouts import services
from rollouts.adapters.kubernetes.gateway_api import GatewayApiDialect
from rollouts.adapters.kubernetes.istio import IstioDialect
from rollouts.adapters.kubernetes.routes import spec_of
from rollouts.errors import InvalidPlan
from rollouts.tests.kubernetes.stand_in import TARGET
from rollouts.tests.kubernetes.test_kubernetes import ONE, TWO, world

HALF = (("2", 50), ("1", 50))
COOKIE = {"sticky": ("cookie", "uid")}


def rules(dialect, split=HALF, **route):
    """Our rules as (name, expression on the cookie or None, cookie handed out by version)."""
    spec = spec_of(dialect(), world(1, (ONE, TWO), split, **route), TARGET)
    found = []
    for rule in spec[dialect.rules]:
        if dialect is IstioDialect:
            asked = rule["match"][0].get("headers", {}).get("cookie", {}).get("regex")
            answers = [(to["destination"]["subset"][1:], to["headers"]["response"]) for to in rule["route"]]
            cookies = {version: answer.get("add", {}).get("set-cookie") for version, answer in answers}
        else:
            asked = next((header["value"] for header in rule["matches"][0].get("headers", [])), None)
            answers = [
                (to["name"].rpartition("-v")[2], to["filters"][0]["responseHeaderModifier"])
                for to in rule["backendRefs"]
            ]
            cookies = {version: answer.get("add", [{}])[0].get("value") for version, answer in answers}
        found.append((rule["name"], asked, cookies))
    return found


def versions_of(dialect, cookie, split=HALF, **route):
    """Which versions a request with this Cookie header may meet, and what cookie it is given by each."""
    for _, asked, cookies in rules(dialect, split, **route):
        if asked is None or re.fullmatch(asked, cookie):
            return cookies
    raise AssertionError("no rule matches")


@pytest.fixture(params=[GatewayApiDialect, IstioDialect])
def dialect(request):
    return request.param


def test_a_client_is_given_a_cookie_and_stays_with_the_version_that_gave_it(dialect):
    first = versions_of(dialect, "", **COOKIE)
    assert set(first) == {"1", "2"}
    for version, given in first.items():
        pair, _, attributes = given.partition("; ")
        assert attributes == "Path=/churn-production; Max-Age=7776000; HttpOnly; SameSite=Lax"
        for header in (pair, f"a=b; {pair}", f"{pair}; c=d"):
            assert versions_of(dialect, header, **COOKIE) == {version: None}
        # A cookie that only ends or begins alike is another one.
        for header in (f"x{pair}", f"{pair}0"):
            assert set(versions_of(dialect, header, **COOKIE)) == {"1", "2"}


def test_a_cookie_of_an_earlier_comparison_means_nothing(dialect):
    earlier = versions_of(dialect, "", (("2", 50), ("0", 50)), **COOKIE)["2"].partition(";")[0]
    assert set(versions_of(dialect, earlier, **COOKIE)) == {"1", "2"}


@pytest.mark.parametrize("route", [{}, {"sticky": ("header", "x-user")}])
def test_nobody_is_kept_unless_the_plan_says_so(dialect, route):
    assert [(asked, set(cookies.values())) for _, asked, cookies in rules(dialect, **route)] == [
        (None, {None})
    ]


def test_everybody_is_free_when_one_version_has_all_the_traffic(dialect):
    assert [(asked, cookies) for _, asked, cookies in rules(dialect, (("2", 100),), **COOKIE)] == [
        (None, {"2": None})
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("router", "key", "refused"),
    [
        ("gateway-api", {"header": "x-user"}, "gateway-api divides requests at random"),
        ("istio", {"header": "x-user"}, "istio divides requests at random"),
        ("istio", {"cookie": "uid"}, ""),
        ("gateway", {"header": "x-user"}, ""),
    ],
)
def test_a_plan_that_the_router_cannot_walk_is_refused_before_it_starts(
    endpoint, settings, tmp_path, router, key, refused
):
    file = tmp_path / "targets.yaml"
    file.write_text(f"there: {{cluster: embedded, router: {router}}}")
    settings.SLIPWAY_TARGETS_FILE = str(file)
    endpoint.environment.target = "there"
    asked = {"endpoint": endpoint, "strategy": "ab", "parameters": {"key": key, "outcome": "sales"}}
    if not refused:
        services.preview(**asked)
        return
    with pytest.raises(InvalidPlan, match=refused) as caught:
        services.preview(**asked)
    assert caught.value.field == "parameters.key"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("router", "asked", "said"),
    [
        ("gateway-api", {}, "gateway-api divides requests at random"),
        ("istio", {}, "istio divides requests at random"),
        ("istio", {"key": {"cookie": "uid"}}, ""),
        ("istio", {"arm": {"header": "x-arm"}}, ""),
        ("gateway", {}, ""),
    ],
)
def test_an_experiment_that_keeps_no_user_is_called_so_where_it_is_started(
    endpoint, as_user, people, settings, tmp_path, router, asked, said
):
    file = tmp_path / "targets.yaml"
    file.write_text(f"there: {{cluster: embedded, router: {router}}}")
    settings.SLIPWAY_TARGETS_FILE = str(file)
    type(endpoint.environment).objects.update(target="there")
    client = APIClient()
    client.force_authenticate(people["engineer"])
    body = {"endpoint": endpoint.name, "strategy": "ab", "parameters": {"outcome": "sales", **asked}}
    preview = client.post("/api/v1/rollouts/preview", body, format="json").json()
    assert preview["unkept"].startswith(said) and bool(preview["unkept"]) == bool(said)
    page = as_user("engineer").get(f"/rollouts/new?endpoint={endpoint.name}&strategy=ab").content.decode()
    assert ("divides requests at random" in page) == (router != "gateway")


@pytest.mark.django_db
def test_a_plan_that_moves_the_share_while_clients_are_kept_is_refused(endpoint, settings, tmp_path):
    file = tmp_path / "targets.yaml"
    file.write_text("there: {cluster: embedded, router: istio}")
    settings.SLIPWAY_TARGETS_FILE = str(file)
    endpoint.environment.target = "there"
    steps = [{"kind": "provision", "replicas": 1}, *({"kind": "set_weight", "percent": p} for p in (5, 50))]
    plan = {"steps": [*steps, {"kind": "promote"}], "sticky": {"cookie": "uid"}}
    with pytest.raises(InvalidPlan, match="this plan has 2"):
        services.preview(endpoint=endpoint, strategy="custom", parameters=plan)
