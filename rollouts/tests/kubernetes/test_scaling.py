"""Who scales the servers and who reads their metrics, by what the environment names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.core.exceptions import ImproperlyConfigured

from rollouts.adapters.kubernetes import KubernetesCluster
from rollouts.adapters.kubernetes.companions import companions
from rollouts.adapters.kubernetes.target import Targets, parse
from rollouts.tests.kubernetes.stand_in import TARGET, Cluster, running
from rollouts.tests.kubernetes.test_kubernetes import ARTIFACTS, ONE, world

OWNER = {"metadata": {"name": "churn-production-v1", "uid": "u"}}
OPTIONAL = {"horizontalpodautoscalers", "scaledobjects", "podmonitors", "servicemonitors"}
KEDA = replace(TARGET, max_replicas=8, keda={"server": "http://p:9090"})


def beside(target):
    """What stands beside the servers, by kind."""
    return {item["kind"]: item for item in companions(world(), ONE, target, OWNER)}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"workload": "pod"}, "default.workload: write deployment or inferenceservice"),
        ({"runtime": "theirs"}, "default.runtime: theirs needs `workload: inferenceservice`"),
        (
            {"workload": "inferenceservice", "scale_on": {"metric": "m", "value": "5"}},
            "a metric needs `keda`",
        ),
        ({"keda": {"url": "x"}}, "default.keda"),
        ({"keda": {"server": "x"}, "scale_on": {"query": "sum(x{})", "value": "5"}}, "default.scale_on"),
        ({"keda": {"server": "x"}, "scale_on": {"query": "{model}", "value": "5"}}, "default.scale_on"),
        ({"scale_on": {"query": "x", "value": "5"}}, "with `keda` also"),
        ({"pod_monitor": True, "service_monitor": True}, "default.service_monitor"),
    ],
)
def test_what_contradicts_itself_is_refused_when_slipway_starts(given, says):
    with pytest.raises(ImproperlyConfigured) as refused:
        parse({"default": {"image": "ours", **given}, "runtimes": {"theirs": {"serving_runtime": "theirs"}}})
    assert says in str(refused.value)


def test_keda_takes_the_place_of_kubernetes_own_autoscaler_where_it_is_named():
    found = beside(KEDA)
    assert "HorizontalPodAutoscaler" not in found
    spec = found["ScaledObject"]["spec"]
    assert (spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]) == (
        "Deployment",
        OWNER["metadata"]["name"],
    )
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 8)
    assert spec["triggers"] == [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}]
    assert "ScaledObject" not in beside(replace(KEDA, max_replicas=0))


@pytest.mark.parametrize(
    ("scale_on", "query"),
    [
        (
            {"metric": "model_queue_depth", "value": "5"},
            'sum(model_queue_depth{endpoint="churn-production",model_version="1"})',
        ),
        ({"query": 'max(DCGM_FI_DEV_GPU_UTIL{{pod=~"{endpoint}-v{version}.*"}})', "value": "5"},
         'max(DCGM_FI_DEV_GPU_UTIL{pod=~"churn-production-v1.*"})'),
    ],
)  # fmt: skip
def test_keda_asks_prometheus_of_that_version_alone(scale_on, query):
    (trigger,) = beside(replace(KEDA, scale_on=scale_on))["ScaledObject"]["spec"]["triggers"]
    assert (trigger["type"], trigger["metricType"]) == ("prometheus", "AverageValue")
    # A Prometheus that has lost the series is no reason to take servers away.
    assert trigger["metadata"] == {
        "serverAddress": "http://p:9090", "query": query, "threshold": "5", "ignoreNullValues": "false",
    }  # fmt: skip


def test_a_monitor_of_services_finds_the_port_of_the_metrics():
    given = {"image": "ours", "runtime": "triton", "runtime_image": "t", "service_monitor": True}
    found = beside(parse({"default": given}).default)
    (scraped,) = found["ServiceMonitor"]["spec"]["endpoints"]
    service = found["Service"]
    assert scraped["port"] in [port["name"] for port in service["spec"]["ports"]]
    selector = found["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= service["metadata"]["labels"].items()
    assert "PodMonitor" not in found


def test_what_the_environment_asks_for_no_more_goes_and_nothing_else():
    kube = Cluster()
    queue = replace(TARGET, max_replicas=8, pod_monitor=True)
    with running(kube) as (namespace, _, _):

        def apply(generation, target):
            namespace._lists.clear()
            one = KubernetesCluster(Targets(target, {}), lambda _: namespace)
            one.apply(world(generation), ARTIFACTS)
            return {kind for kind, _ in kube.objects} & OPTIONAL

        assert apply(1, queue) == {"horizontalpodautoscalers", "podmonitors"}
        assert apply(2, replace(queue, keda={"server": "http://p"})) == {"scaledobjects", "podmonitors"}
        theirs = kube.objects["podmonitors", "churn-production-v1"]
        theirs["metadata"]["ownerReferences"] = []
        assert apply(3, TARGET) == {"podmonitors"}
        deployment = kube.objects["deployments", "churn-production-v1"]
        assert deployment["spec"]["replicas"] == 2
