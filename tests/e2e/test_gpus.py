"""GPUs that are all taken: what is said before anything is created, and how a rollout goes all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rollouts import reconcile, services
from rollouts.adapters.kubernetes import GatewayApiRouter
from tests.e2e.live import ADA, Live
from tests.e2e.place import Place, ready
from tests.e2e.test_rollouts import begin

pytestmark = pytest.mark.django_db
GPU = "nvidia.com/gpu"


@pytest.fixture
def node(place) -> tuple[str, int]:
    """A node, and half of its GPUs: two servers fit, a third does not."""
    for item in place.call("GET", "/api/v1/nodes")["items"]:
        gpus = int(item["status"]["allocatable"].get(GPU, 0))
        if ready(item) and gpus >= 2:
            return item["metadata"]["labels"]["kubernetes.io/hostname"], gpus // 2
    pytest.skip("no node announces two GPUs")


@pytest.fixture(params=["hold", "say"])
def full(request, place: Place, controller, node, db, monkeypatch) -> Iterator[Live]:
    """An endpoint whose two servers hold all GPUs of the node."""
    name, gpus = node
    target = place.target(
        gpus=gpus, preflight=request.param, node_selector={"kubernetes.io/hostname": name},
        tolerations=({"key": GPU, "operator": "Exists"},),
    )  # fmt: skip
    live = begin(place, GatewayApiRouter, target, replicas=2)
    monkeypatch.setattr(reconcile, "judge", live.judged)
    live.serving()
    live.until(lambda: live.endpoint.observed["workloads"]["1"]["ready"] == 2)
    yield live
    live.remove()


@pytest.mark.parametrize("full", ["hold"], indirect=True)
def test_nothing_is_created_that_does_not_fit_and_in_place_it_goes(full):
    full.until(lambda: full.endpoint.observed.get("room", "").startswith("Room for 0 more"))
    refused = full.start(2)
    full.until(lambda: "would not fit" in str(full.endpoint.observed["workloads"].get("2")))
    assert "0 of" in full.endpoint.observed["workloads"]["2"]["message"]
    assert full.place.pods(full.endpoint.name, "2") == []
    services.abort(rollout=refused, actor=ADA, reason="no room")
    full.until(lambda: full.newest().finished_at is not None)
    full.start(2, no_surge=True)
    full.ends("succeeded")
    full.until(lambda: full.endpoint.observed["workloads"].get("2", {}).get("ready") == 2)
    full.alone("2")


@pytest.mark.parametrize("full", ["say"], indirect=True)
def test_a_pod_that_waits_for_a_gpu_is_told_as_such_and_is_no_failure_of_the_model(full):
    full.start(2)
    full.until(lambda: "Insufficient nvidia.com/gpu" in str(full.endpoint.observed["workloads"].get("2")))
    waiting = full.endpoint.observed["workloads"]["2"]
    assert waiting["message"].startswith("waiting for a place in the cluster")
    assert (waiting["failed"], waiting["restarts"]) == (False, 0)
    assert full.weights() == {"1": 100}
