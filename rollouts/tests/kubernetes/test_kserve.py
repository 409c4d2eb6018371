"""KServe's InferenceService as what a version is: what becomes of it, and when its servers count as ready."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from rollouts.adapters.kubernetes import GatewayApiRouter, KubernetesCluster, kserve, seen
from rollouts.adapters.kubernetes.manifests import GENERATION
from rollouts.adapters.kubernetes.target import Targets, parse
from rollouts.errors import WorldUnavailable
from rollouts.tests.kubernetes.stand_in import TARGET
from rollouts.tests.kubernetes.test_kubernetes import ARTIFACTS, ONE, TWO, look, world

KSERVE = replace(TARGET, workload="inferenceservice")
NAME = "churn-production-v1"
CHILD = ("deployments", f"{NAME}-predictor")


@pytest.fixture
def cluster(namespace) -> KubernetesCluster:
    return KubernetesCluster(Targets(KSERVE, {}), lambda _: namespace)


def test_a_release_is_an_inference_service_with_our_server_and_all_that_stands_beside_it(cluster, kube):
    cluster.apply(world(), ARTIFACTS)
    item = kube.objects["inferenceservices", NAME]
    predictor = item["spec"]["predictor"]
    (server,), (fetch,) = predictor["containers"], predictor["initContainers"]
    assert (server["name"], server["image"]) == ("kserve-container", TARGET.image)
    assert ["--digest", ONE.digest] == fetch["args"][2:4]
    assert item["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "RawDeployment"
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 2)
    assert cluster.observe("churn-production")["1"].ready == 2
    # Our router divides the traffic between Services that find the pods themselves.
    selector = kube.objects["services", NAME]["spec"]["selector"]
    pods = [item for (kind, _), item in kube.objects.items() if kind == "pods"]
    assert len(pods) == 2 and all(selector.items() <= pod["metadata"]["labels"].items() for pod in pods)


def test_a_new_decision_starts_no_new_pods(cluster, kube, namespace):
    cluster.apply(world(), ARTIFACTS)
    before = deepcopy(kube.objects[CHILD]["spec"]["template"])
    look(namespace)
    cluster.apply(world(2), ARTIFACTS)
    assert kube.objects["inferenceservices", NAME]["metadata"]["annotations"][GENERATION] == "2"
    assert kube.objects[CHILD]["spec"]["template"] == before


def test_servers_count_once_kserve_has_made_the_newest_of_them(cluster, kube, namespace):
    kube.kserve_stopped = True
    cluster.apply(world(), ARTIFACTS)
    status = cluster.observe("churn-production")["1"]
    assert (status.ready, status.desired) == (0, 2)
    assert "does its controller run?" in status.message
    kube.kserve_stopped = False
    kube.edit("inferenceservices", NAME, lambda item: None)
    look(namespace)
    assert cluster.observe("churn-production")["1"].ready == 2
    kube.kserve_stopped = True
    cluster.apply(world(2, releases=(replace(ONE, digest=TWO.digest),)), ARTIFACTS)
    look(namespace)
    assert cluster.observe("churn-production")["1"].ready == 0


def test_what_kserve_says_is_told_where_the_pods_say_nothing(cluster, kube, namespace):
    cluster.apply(world(), ARTIFACTS)
    item = kube.objects["inferenceservices", NAME]
    condition = {
        "type": "PredictorReady",
        "status": "False",
        "reason": "ReconcileFailed",
        "message": "no runtime",
    }
    item["status"] = {"conditions": [condition]}
    kube.objects.pop(CHILD)
    look(namespace)
    assert cluster.observe("churn-production")["1"].message == "KServe: ReconcileFailed no runtime"
    item["status"]["modelStatus"] = {"lastFailureInfo": {"message": "Waiting for runtime"}}
    look(namespace)
    assert cluster.observe("churn-production")["1"].message == "KServe: Waiting for runtime"


@pytest.mark.parametrize(
    ("behaviour", "failed", "says"),
    [("never", True, "the digest differs"), ("no gpu", False, "waiting for a place in the cluster")],
)
def test_pods_of_kserve_are_read_as_our_own(cluster, kube, behaviour, failed, says):
    kube.behaviour["1"] = behaviour
    cluster.apply(world(), ARTIFACTS)
    status = cluster.observe("churn-production")["1"]
    assert (status.ready, status.failed) == (0, failed)
    assert says in status.message


def test_what_nobody_wants_goes_and_what_is_somebody_elses_stays(cluster, kube, namespace):
    cluster.apply(world(releases=(ONE, TWO)), ARTIFACTS)
    theirs = {"metadata": {"name": "churn-production-v3", "uid": "theirs", "resourceVersion": "1"}}
    kube.objects["inferenceservices", "churn-production-v3"] = theirs
    look(namespace)
    cluster.apply(world(2), ARTIFACTS)
    left = {name for _, name in kube.objects}
    assert not {name for name in left if "-v2" in name}
    assert {NAME, "churn-production-v3"} <= left
    with pytest.raises(WorldUnavailable, match="somebody else's"):
        cluster.apply(world(3, releases=(ONE, replace(TWO, version="3"))), ARTIFACTS)


def test_after_a_restart_both_kinds_of_servers_are_found_in_one_namespace(namespace):
    where = Targets(TARGET, {"production": KSERVE})
    one = KubernetesCluster(where, lambda _: namespace)
    one.apply(world(endpoint="plain"), ARTIFACTS)
    one.apply(replace(world(endpoint="churn"), environment="production"), ARTIFACTS)
    restarted = KubernetesCluster(where, lambda _: namespace)
    assert [restarted.observe(name)["1"].ready for name in ("churn", "plain")] == [2, 2]


def test_the_calls_of_a_tick_do_not_grow_with_the_endpoints(cluster, kube, namespace, monkeypatch):
    router = GatewayApiRouter(Targets(KSERVE, {}), lambda _: namespace)
    names = [f"e-{number}" for number in range(12)]
    for name in names:
        cluster.apply(world(endpoint=name), ARTIFACTS)
        router.set_route(world(endpoint=name))

    def calls(few):
        look(namespace)
        kube.calls.clear()
        for name in few:
            cluster.observe(name)
            router.observed_route(name)
            cluster.apply(world(endpoint=name), ARTIFACTS)
            router.set_route(world(endpoint=name))
        return dict(kube.calls)

    monkeypatch.setattr(seen, "FRESH_SECONDS", 60)
    lists = ("inferenceservices", "deployments", "pods", "httproutes")
    assert calls(names) == calls(names[:1]) == {("GET", plural): 1 for plural in lists}


def test_a_serving_runtime_of_the_cluster_gets_the_verified_model_and_our_probes(kube, namespace):
    theirs = {"serving_runtime": "kserve-tritonserver", "port": 8080, "metrics_port": 8002, "ready": "/r"}
    given = {
        "image": "ours",
        "workload": "inferenceservice",
        "runtime": "theirs",
        "pod_monitor": True,
        "gpus": 1,
    }
    where = parse({"default": {**given, "preflight": "off"}, "runtimes": {"theirs": theirs}})
    KubernetesCluster(where, lambda _: namespace).apply(world(), ARTIFACTS)
    predictor = kube.objects["inferenceservices", NAME]["spec"]["predictor"]
    model = predictor["model"]
    assert (model["runtime"], model["modelFormat"]) == ("kserve-tritonserver", {"name": "onnx"})
    assert model["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "containers" not in predictor and "storageUri" not in model
    assert predictor["initContainers"][0]["args"][-2:] == ["--place", "/models/churn/1/model.onnx"]
    assert {"name": "models", "mountPath": "/mnt/models", "readOnly": True} in model["volumeMounts"]
    assert model["readinessProbe"]["httpGet"] == {"path": "/r", "port": 8080}
    ports = kube.objects["services", NAME]["spec"]["ports"]
    assert [port["targetPort"] for port in ports] == [8080, 8002]
    (scraped,) = kube.objects["podmonitors", NAME]["spec"]["podMetricsEndpoints"]
    assert scraped["portNumber"] == 8002


FOLLOWED = {
    "metric": {
        "backend": "prometheus", "serverAddress": "http://p:9090",
        "query": 'sum(model_queue_depth{endpoint="churn-production",model_version="1"})',
    },
    "target": {"type": "AverageValue", "averageValue": "5"},
}  # fmt: skip
QUEUE = {"keda": {"server": "http://p:9090"}, "scale_on": {"metric": "model_queue_depth", "value": "5"}}


@pytest.mark.parametrize(
    ("given", "scaler", "followed"),
    [
        ({}, "external", {}),
        ({"max_replicas": 8}, "hpa", {"scaleMetric": "cpu", "scaleTarget": 70}),
        (
            {"max_replicas": 8, **QUEUE},
            "keda",
            {"autoScaling": {"metrics": [{"type": "External", "external": FOLLOWED}]}},
        ),
    ],
)
def test_kserve_scales_by_what_the_environment_names(given, scaler, followed):
    item = kserve.inference_service(world(), ONE, "s3://models/one", replace(KSERVE, **given))
    assert item["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == scaler
    predictor = item["spec"]["predictor"]
    fields = ("scaleMetric", "scaleTarget", "autoScaling")
    assert {key: predictor[key] for key in fields if key in predictor} == followed
