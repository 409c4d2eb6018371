"""The check before anything is created, on nodes, pods and quotas as an API server gives them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.adapters.kubernetes import KubernetesCluster
from rollouts.adapters.kubernetes import preflight as module
from rollouts.adapters.kubernetes.preflight import barred, requests_of
from rollouts.adapters.kubernetes.target import Targets
from rollouts.errors import WorldUnavailable
from rollouts.tests.kubernetes.stand_in import TARGET, Cluster, running
from rollouts.tests.kubernetes.test_kubernetes import ARTIFACTS, world

GPUS = replace(TARGET, gpus=1, cpu="500m", memory="1Gi")
NODE = {
    "metadata": {"name": "gpu-1", "labels": {"pool": "gpu"}},
    "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
    "status": {
        "allocatable": {"cpu": "8", "memory": "64Gi", "pods": "110", "nvidia.com/gpu": "4"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
TOLERATING = {"key": "nvidia.com/gpu", "operator": "Exists"}


@pytest.fixture
def kube() -> Cluster:
    kube = Cluster()
    kube._keep("nodes", "gpu-1", {**NODE, "spec": {}})
    taken = {"requests": {"nvidia.com/gpu": "3", "cpu": "1"}}
    kube._keep("pods", "training", {
        "metadata": {"name": "training"}, "status": {"phase": "Running"},
        "spec": {"nodeName": "gpu-1", "containers": [{"resources": taken}]},
    })  # fmt: skip
    return kube


@pytest.fixture
def cluster(kube, monkeypatch):
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.0)
    with running(kube) as (namespace, _, _):
        yield KubernetesCluster(Targets(GPUS, {}), lambda _: namespace)


def test_servers_that_would_not_fit_are_not_created_and_the_numbers_are_said(cluster, kube):
    cluster.apply(world(), ARTIFACTS)
    assert not [name for kind, name in kube.objects if kind == "deployments"]
    status = cluster.observe("churn-production")["1"]
    assert (status.ready, status.desired, status.failed) == (0, 2, False)
    assert "2 wanted. Room for 1 more" in status.message
    assert "1 of 4 GPUs are free" in status.message


def test_they_are_created_as_soon_as_they_fit(cluster, kube):
    cluster.apply(world(), ARTIFACTS)
    kube.objects.pop(("pods", "training"))
    cluster.apply(world(2), ARTIFACTS)
    assert cluster.observe("churn-production")["1"].ready == 2


def test_where_nodes_come_on_demand_it_is_only_said(kube):
    with running(kube) as (namespace, _, _):
        cluster = KubernetesCluster(Targets(replace(GPUS, preflight="say"), {}), lambda _: namespace)
        assert cluster.room("").servers == 1
        cluster.apply(world(), ARTIFACTS)
        assert ("deployments", "churn-production-v1") in kube.objects


def test_who_may_not_look_holds_nothing_back(cluster, kube):
    kube.forbidden = {"nodes"}
    with pytest.raises(WorldUnavailable, match="403"):
        cluster.room("")
    cluster.apply(world(), ARTIFACTS)
    assert ("deployments", "churn-production-v1") in kube.objects


def test_a_server_without_gpus_is_nobodys_question(kube):
    with running(kube) as (namespace, where, _):
        assert KubernetesCluster(where, lambda _: namespace).room("") is None


@pytest.mark.parametrize(
    ("change", "target", "why"),
    [
        ({}, replace(GPUS, tolerations=(TOLERATING,)), ""),
        ({}, GPUS, "its taint nvidia.com/gpu is not tolerated"),
        ({}, replace(GPUS, tolerations=({"operator": "Exists"},)), ""),
        ({}, replace(GPUS, tolerations=({"key": "nvidia.com/gpu", "value": "a100"},)), "its taint nvidia.com/gpu is not tolerated"),
        ({"spec": {"unschedulable": True}}, GPUS, "cordoned"),
        ({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, GPUS, "not ready"),
        ({"spec": {}}, replace(GPUS, node_selector={"pool": "a100"}), "has no label pool=a100"),
    ],
)  # fmt: skip
def test_a_node_is_barred_for_a_reason(change, target, why):
    assert barred({**NODE, **change}, target) == why


def test_what_a_pod_asks_for_is_counted_as_the_scheduler_counts_it():
    def asks(cpu, **more):
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [asks("1"), asks("500m")],
        "initContainers": [asks("4"), asks("250m", restartPolicy="Always")],
        "overhead": {"cpu": "100m"},
    }
    assert requests_of({"containers": [asks("1"), asks("500m")]})["cpu"] == 1.5
    assert requests_of(spec)["cpu"] == pytest.approx(4.25 + 0.1)
