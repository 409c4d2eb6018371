"""A rollout that needs no more servers than there are, for clusters without a GPU to spare."""

from __future__ import annotations

import pytest

from rollouts import reconcile, services
from rollouts.domain.plan import Plan
from rollouts.domain.room import Room
from rollouts.domain.strategies import compile_plan
from rollouts.errors import InvalidPlan
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver


def test_the_candidate_has_half_the_servers_unless_it_is_said():
    assert compile_plan("canary", {"no_surge": True}, replicas=5).replicas == 2
    assert compile_plan("canary", {"no_surge": True, "replicas": 4}, replicas=5).replicas == 4


@pytest.mark.parametrize(
    ("parameters", "replicas", "field"),
    [({}, 1, "no_surge"), ({"replicas": 4}, 4, "replicas"), ({"no_surge": "yes"}, 4, "no_surge")],
)
def test_what_cannot_be_is_refused_with_its_path(parameters, replicas, field):
    with pytest.raises(InvalidPlan) as refused:
        compile_plan("canary", {"no_surge": True, **parameters}, replicas=replicas)
    assert refused.value.field == f"parameters.{field}"


def test_a_plan_remembers_it_and_other_plans_keep_their_digest():
    plan = compile_plan("canary", {"no_surge": True}, replicas=2)
    assert Plan.from_dict(plan.to_dict()) == plan
    assert "no_surge" not in compile_plan("canary", {}, replicas=2).to_dict()


@pytest.mark.django_db
@pytest.mark.parametrize("ends", ["succeeded", "rolled_back"])
def test_there_are_never_more_servers_than_the_endpoint_has(
    endpoint, versions, ports, author, monkeypatch, ends
):
    endpoint.replicas = 4
    endpoint.save()
    driver = Driver(endpoint, ports)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)
    seen = []
    original = ports.cluster.apply

    def apply(world, artifacts):
        seen.append({release.version: release.replicas for release in world.releases})
        original(world, artifacts)

    monkeypatch.setattr(ports.cluster, "apply", apply)
    rollout = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters={**FAST, "no_surge": True},
        actor=author, reason="full",
    )  # fmt: skip
    driver.tick(3)
    if ends == "rolled_back":
        services.abort(rollout=rollout, actor=author, reason="no")
    driver.until(ends)
    driver.tick()
    assert {"1": 2, "2": 2} in seen
    assert max(sum(sizes.values()) for sizes in seen) == 4
    assert seen[-1] == ({"2": 4} if ends == "succeeded" else {"1": 4})


@pytest.mark.django_db
def test_what_the_cluster_has_room_for_is_kept_with_what_was_observed(endpoint, ports):
    ports.cluster.space = Room(1, "Room for 1 more.")
    Driver(endpoint, ports).tick()
    endpoint.refresh_from_db()
    assert endpoint.observed["room"] == "Room for 1 more."
