"""Routes that others have a hand in: what they add stays, what they change of the split is undone and told."""

from __future__ import annotations

import pytest

from rollouts.adapters.kubernetes import GatewayApiRouter, IstioRouter
from rollouts.adapters.kubernetes.target import Targets
from rollouts.tests.kubernetes.stand_in import EDITOR, TARGET
from rollouts.tests.kubernetes.test_kubernetes import ONE, TWO, look, world

NAME = "churn-production"
SPLIT = (("2", 5), ("1", 95))


@pytest.fixture(params=[GatewayApiRouter, IstioRouter])
def router(request, namespace):
    router = request.param(Targets(TARGET, {}), lambda _: namespace)
    router.set_route(world(1, (ONE, TWO), SPLIT, mirror=(("2", 40),)))
    look(namespace)
    return router


@pytest.fixture
def istio(router) -> bool:
    return isinstance(router, IstioRouter)


@pytest.fixture
def rules(kube, istio):
    """The rules as they are; with a function, somebody changes them first."""
    plural, field = ("virtualservices", "http") if istio else ("httproutes", "rules")

    def rules(change=None):
        if change:
            kube.edit(plural, NAME, lambda item: change(item["spec"][field]))
        return kube.objects[plural, NAME]["spec"][field]

    return rules


def again(router, generation=1):
    return router.set_route(world(generation, (ONE, TWO), SPLIT, mirror=(("2", 40),)))


def reverse_weights(rules):
    for share, weight in zip(rules[0].get("backendRefs") or rules[0]["route"], (95, 5), strict=True):
        share["weight"] = weight


def test_a_split_that_somebody_changed_is_told_with_who_it_was(router, rules, namespace):
    rules(reverse_weights)
    look(namespace)
    edit = again(router)
    assert (edit.weights, edit.mirror, edit.by) == ({"2": 95, "1": 5}, {"2": 40}, EDITOR)
    look(namespace)
    assert again(router) is None


def test_what_was_decided_anew_is_no_edit_of_anybody(router, rules, namespace):
    assert again(router) is None
    assert again(router, generation=2) is None
    rules(reverse_weights)
    look(namespace)
    assert again(router, generation=3) is None


def test_what_others_set_beside_the_split_stays_and_is_not_written_over(
    router, rules, istio, kube, namespace
):
    theirs = {"timeout": "3s"} if istio else {"timeouts": {"request": "3s"}}
    rules(lambda found: found[0].update(theirs))
    look(namespace)
    before = kube.calls.total()
    assert again(router) is None
    assert kube.calls.total() == before + 1 + istio  # lists, no write
    again(router, generation=2)
    assert theirs.items() <= rules()[0].items()
    assert rules()[0]["name"] == "slipway-split"


def test_a_redirect_in_our_rule_would_take_the_traffic_and_is_undone(router, rules, istio, namespace):
    redirect = {"redirect": {"uri": "/gone"}} if istio else {"filters": []}
    rules(lambda found: found[0].update(redirect))
    look(namespace)
    assert again(router).by == EDITOR
    assert rules()[0].get("redirect") is None
    assert rules()[0].get("filters") != []


def test_a_destination_that_is_none_of_our_versions_is_named_and_undone(router, rules, istio, namespace):
    def elsewhere(found):
        if istio:
            found[0]["route"] = [{"destination": {"host": "elsewhere"}}]
            found[0]["mirror"] = {"host": "spy"}
        else:
            found[0]["backendRefs"] = [{"name": "elsewhere", "port": 80}]

    rules(elsewhere)
    look(namespace)
    assert "elsewhere" in (router.observed_route(NAME).weights or {})
    assert again(router) is not None
    look(namespace)
    assert router.observed_route(NAME).weights == {"2": 5, "1": 95}
