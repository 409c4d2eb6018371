"""Rollouts on a real cluster with real servers, on both routers, as the shipped role allows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from monitoring.adapters.memory import MemorySource
from rollouts import reconcile, services
from rollouts.adapters.kubernetes import GatewayApiRouter, IstioRouter, KubernetesCluster
from rollouts.adapters.kubernetes.target import Target, Targets
from rollouts.models import Rollout
from rollouts.reconcile import Ports
from tests.e2e.live import ADA, Live, Store, endpoint_of
from tests.e2e.place import MERGE, Place
from tests.e2e.traffic import Traffic

pytestmark = pytest.mark.django_db


def begin(place: Place, router: type[Any], target: Target, replicas: int = 1) -> Live:
    """An endpoint of that many servers, and Slipway's ports as one worker has them."""
    endpoint, versions = endpoint_of(f"e2e-{uuid.uuid4().hex[:6]}", replicas)
    namespace, where = place.namespace(), Targets(target, {})
    ports = Ports(
        cluster=KubernetesCluster(where, lambda _: namespace),
        router=router(where, lambda _: namespace),
        metrics=MemorySource(),
        artifacts=Store(),
    )
    return Live(place, endpoint, versions, ports)


@pytest.fixture(params=[GatewayApiRouter, IstioRouter])
def live(request, place, controller, db, monkeypatch) -> Iterator[Live]:
    live = begin(place, request.param, place.target())
    monkeypatch.setattr(reconcile, "judge", live.judged)
    live.serving()
    yield live
    live.remove()


@pytest.fixture
def traffic(live) -> Iterator[Traffic]:
    """Real requests by the route in the cluster; what the servers count is what the gates see."""

    def shares() -> set[str]:
        route = live.ports.router.observed_route(live.endpoint.name)
        return {*(route.weights or {}), *route.mirror}

    traffic = Traffic(live.place, live.endpoint.name, live.endpoint.model.name, shares)
    live.ports = Ports(live.ports.cluster, live.ports.router, traffic.metrics, live.ports.artifacts)
    live.verdict = None
    yield traffic
    traffic.stop()


def why(rollout: Rollout) -> str:
    """What made it give the traffic back."""
    return rollout.transitions.get(to_phase="rolling_back").reason


def test_a_good_version_is_promoted_on_what_its_servers_counted(live, traffic):
    live.start(2)
    live.ends("succeeded")
    live.until(lambda: live.weights() == {"2": 100})
    assert traffic.answered["2", True] >= 20
    assert ("2", False) not in traffic.answered


def test_a_bad_version_is_rolled_back_on_what_its_servers_counted(live, traffic):
    live.start(3)
    done = live.ends("rolled_back")
    assert traffic.answered["3", False] > 0
    assert "errors" in why(done)
    live.alone("1")


def test_blue_green_is_previewed_and_switched_in_one_write(live):
    live.start(2, "blue_green", hold_seconds=None, preview_seconds=2)
    live.until(lambda: live.ports.router.observed_route(live.endpoint.name).preview == "2")
    assert live.weights() == {"1": 100}
    live.ends("succeeded")
    assert live.weights() == {"2": 100}


def test_a_shadow_gets_copies_and_no_traffic(live):
    live.start(2, "shadow", hold_seconds=None, retire_after_seconds=None, mirror_percent=40)
    live.until(lambda: live.endpoint.observed.get("mirror") == {"2": 40})
    assert live.weights() == {"1": 100}
    live.ends("concluded")
    live.alone("1")


def test_a_newer_rollout_supersedes_one_under_way(live):
    first = live.start(3, hold_seconds=60)
    live.until(lambda: live.weights() == {"3": 50, "1": 50})
    live.start(2, supersede=True)
    live.ends("succeeded")
    first.refresh_from_db()
    assert (first.phase, live.weights()) == ("superseded", {"2": 100})


def test_an_abort_during_any_step_gives_all_traffic_back(live):
    plan = live.start(2, mirror_percent=20, analyse_seconds=3, hold_seconds=3).plan
    last = next(at for at, step in enumerate(plan["steps"]) if step["kind"] == "promote")
    for step in range(last + 1):
        rollout = live.newest()
        if rollout.finished_at:
            rollout = live.start(2, mirror_percent=20, analyse_seconds=3, hold_seconds=3)
        live.until(lambda at=step: live.newest().step >= at or live.newest().finished_at is not None)
        rollout = live.newest()
        if rollout.finished_at:
            assert (step, rollout.phase) == (last, "succeeded")  # a promotion is one move
            return
        services.abort(rollout=rollout, actor=ADA, reason=f"in step {step}")
        live.until(lambda: live.newest().finished_at is not None)
        assert live.newest().phase in ("rolled_back", "cancelled"), step
        live.alone("1")


def test_a_model_whose_digest_differs_is_never_served_and_says_so(live):
    store = live.ports.artifacts
    store.path_or_uri = lambda digest: f"s3://models/{live.versions[0].digest[7:]}.onnx"
    live.start(2)
    done = live.ends("rolled_back")
    assert live.versions[1].digest in why(done)


def test_a_split_that_somebody_edits_by_hand_is_asserted_again_and_their_own_rules_stay(live):
    live.start(2, hold_seconds=120)
    live.until(lambda: live.weights() == {"2": 50, "1": 50})
    name = live.endpoint.name
    istio = isinstance(live.ports.router, IstioRouter)
    group, plural, rules = (
        ("networking.istio.io", "virtualservices", "http")
        if istio
        else ("gateway.networking.k8s.io", "httproutes", "rules")
    )
    path = f"/apis/{group}/v1/namespaces/{live.place.name}/{plural}/{name}"
    theirs = (
        {"name": "docs", "route": [{"destination": {"host": "docs"}}]}
        if istio
        else {"name": "docs", "backendRefs": [{"name": "docs", "port": 80}]}
    )
    edited = live.place.call("GET", path)["spec"][rules]
    timeout = {"timeout": "30s"} if istio else {"timeouts": {"request": "30s"}}
    edited[0].update(timeout)
    for share, weight in zip(edited[0].get("backendRefs") or edited[0]["route"], (90, 10), strict=True):
        share["weight"] = weight
    live.place.call("PATCH", path, {"spec": {rules: [*edited, theirs]}}, MERGE, fieldManager="kubectl-edit")
    live.until(lambda: live.place.call("GET", path)["spec"][rules][0] != edited[0])
    live.until(lambda: live.weights() == {"2": 50, "1": 50})
    drift = live.endpoint.observed["drift"]
    assert (drift["by"], drift["weights"]) == ("kubectl-edit", {"2": 90, "1": 10})
    after = live.place.call("GET", path)["spec"][rules]
    assert [rule["name"] for rule in after] == ["slipway-split", "docs"]
    assert timeout.items() <= after[0].items()
    # The next decision is nobody's edit, and takes neither their rule nor their time limit away.
    services.promote(rollout=live.newest(), actor=ADA, reason="enough")
    live.ends("succeeded")
    assert live.weights() == {"2": 100}
    assert live.endpoint.observed["drift"] == drift
    after = live.place.call("GET", path)["spec"][rules]
    assert [rule["name"] for rule in after] == ["slipway-split", "docs"]
    assert timeout.items() <= after[0].items()
