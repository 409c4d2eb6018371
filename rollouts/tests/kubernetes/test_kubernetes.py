"""What is particular to Kubernetes: faults of its API, what pods say, routes that others edit, few calls."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace

import pytest
from django.core.exceptions import ImproperlyConfigured
from kubernetes.config import kube_config

from rollouts.adapters.kubernetes import GatewayApiRouter, IstioRouter, KubernetesCluster, seen
from rollouts.adapters.kubernetes import api as api_module
from rollouts.adapters.kubernetes.api import DEPLOYMENT, Api
from rollouts.adapters.kubernetes.seen import Namespace
from rollouts.adapters.kubernetes.target import Targets, parse
from rollouts.domain.desired import DesiredWorld, ReleaseSpec, Route
from rollouts.errors import WorldUnavailable
from rollouts.tests.kubernetes.stand_in import TARGET, Cluster, running

ONE, TWO = (ReleaseSpec(n, f"sha256:{n * 64}", replicas=2, histograms={"a": [1]}) for n in "12")
ARTIFACTS = {ONE.digest: "s3://models/one", TWO.digest: "s3://models/two"}


def world(
    generation=1, releases=(ONE,), split=(("1", 100),), endpoint="churn-production", **route
) -> DesiredWorld:
    return DesiredWorld(endpoint, "churn", generation, tuple(releases), Route(split=tuple(split), **route))


@pytest.fixture
def cluster(namespace) -> KubernetesCluster:
    return KubernetesCluster(Targets(TARGET, {}), lambda _: namespace)


@pytest.fixture(params=[GatewayApiRouter, IstioRouter])
def router(request, namespace):
    return request.param(Targets(TARGET, {}), lambda _: namespace)


@pytest.fixture
def gateway(namespace) -> GatewayApiRouter:
    return GatewayApiRouter(Targets(TARGET, {}), lambda _: namespace)


def look(namespace: Namespace) -> None:
    """The next reader asks anew, as after half a second."""
    namespace._lists.clear()


def test_a_release_is_servers_with_all_that_stands_beside_them(cluster, kube):
    cluster.apply(world(), ARTIFACTS)
    name = "churn-production-v1"
    assert {kind for kind, _ in kube.objects} == {
        "deployments", "pods", "configmaps", "services", "poddisruptionbudgets",
    }  # fmt: skip
    pod = kube.objects["deployments", name]["spec"]["template"]["spec"]
    server = pod["containers"][0]
    assert ["--digest", ONE.digest] == server["args"][2:4]
    assert server["securityContext"]["readOnlyRootFilesystem"]
    assert pod["automountServiceAccountToken"] is False
    assert cluster.observe("churn-production")["1"].ready == 2


def test_what_nobody_wants_goes_with_everything_that_belongs_to_it(cluster, kube, namespace):
    kube.apply("services", "theirs", {"metadata": {"labels": {"app": "theirs"}}, "spec": {}})
    cluster.apply(world(releases=(ONE, TWO)), ARTIFACTS)
    cluster.apply(world(2), ARTIFACTS)
    left = {name for _, name in kube.objects}
    assert not {name for name in left if "-v2" in name}
    assert "theirs" in left


def test_a_throttled_call_is_made_again_when_the_server_says(cluster, kube):
    kube.faults = [(429, {"Retry-After": "0.01"}, "")] * 2
    cluster.apply(world(), ARTIFACTS)
    assert cluster.observe("churn-production")["1"].ready == 2


@pytest.mark.parametrize("status", [500, 503, 401, 403, 429])
def test_an_api_server_that_refuses_is_unavailable_and_not_an_empty_cluster(cluster, kube, status):
    kube.faults = [(status, {"Retry-After": "0.01"}, "")] * 3
    with pytest.raises(WorldUnavailable, match=str(status)):
        cluster.observe("churn-production")


def test_a_token_that_has_expired_is_read_anew(kube, namespace, tmp_path, monkeypatch):
    file = tmp_path / "config"

    def write(token):
        named = {"name": "c", "cluster": {"server": namespace.api._client.configuration.host}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        users = [{"name": "u", "user": {"token": token}}]
        document = {"clusters": [named], "contexts": [context], "users": users, "current-context": "c"}
        file.write_text(json.dumps(document))

    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    write("first")
    kube.token = "first"
    api = Api(context="c")
    assert api.list(DEPLOYMENT, "models", "") == []
    kube.token = "second"
    with pytest.raises(WorldUnavailable, match="401"):
        api.list(DEPLOYMENT, "models", "")
    write("second")
    assert api.list(DEPLOYMENT, "models", "") == []


def test_an_api_server_that_stalls_is_given_up_in_time(cluster, kube, monkeypatch):
    monkeypatch.setattr(api_module, "TIMEOUT_SECONDS", 0.1)
    kube.stall_seconds = 0.5
    with pytest.raises(WorldUnavailable, match="did not answer"):
        cluster.observe("churn-production")


@pytest.mark.parametrize("done", range(6))
def test_an_apply_that_broke_off_half_way_is_finished_by_the_next(cluster, kube, namespace, done):
    """`done` writes get through; then the API server refuses one."""
    kube.breaks_at = done + 1
    if done < 5:
        with pytest.raises(WorldUnavailable):
            cluster.apply(world(), ARTIFACTS)
    kube.breaks_at = 0
    look(namespace)
    cluster.apply(world(), ARTIFACTS)
    assert {kind for kind, _ in kube.objects} >= {
        "deployments",
        "configmaps",
        "services",
        "poddisruptionbudgets",
    }


def test_of_two_writers_the_one_that_read_an_older_object_writes_nothing(cluster, kube, namespace):
    cluster.apply(world(), ARTIFACTS)
    cluster.observe("churn-production")
    kube.edit("deployments", "churn-production-v1", lambda item: item["metadata"].update(note="theirs"))
    with pytest.raises(WorldUnavailable, match="changed meanwhile"):
        cluster.apply(world(2), ARTIFACTS)
    cluster.apply(world(2), ARTIFACTS)


def test_a_status_written_meanwhile_is_no_conflict(cluster, kube):
    cluster.apply(world(), ARTIFACTS)
    cluster.observe("churn-production")
    item = kube.objects["deployments", "churn-production-v1"]
    kube._keep("deployments", "churn-production-v1", {**item, "metadata": {**item["metadata"]}, "status": {}})
    cluster.apply(world(2), ARTIFACTS)
    made = kube.objects["deployments", "churn-production-v1"]["metadata"]
    assert made["annotations"]["slipway.dev/generation"] == "2"


@pytest.mark.parametrize("workload", ["deployment", "inferenceservice"])
def test_of_two_who_create_at_once_one_does_and_the_other_changes_nothing(kube, namespace, workload):
    """Both have looked and found nothing; the slower one carries an older decision."""
    where = Targets(replace(TARGET, workload=workload), {})
    fast, slow = (KubernetesCluster(where, lambda _: namespace) for _ in range(2))
    original = namespace.present

    def overtaken(*asked):
        found = original(*asked)
        namespace.present = original
        fast.apply(world(5), ARTIFACTS)
        return found

    namespace.present = overtaken
    with pytest.raises(WorldUnavailable, match="changed meanwhile"):
        slow.apply(world(4), ARTIFACTS)
    made = kube.objects[f"{workload}s", "churn-production-v1"]["metadata"]
    assert made["annotations"]["slipway.dev/generation"] == "5"
    # What was created is held as if it had been applied, so that fields of it can be dropped.
    assert [entry["operation"] for entry in made["managedFields"]] == ["Apply"]


def test_of_two_who_create_a_route_at_once_one_does(router, kube, namespace):
    plural = "httproutes" if isinstance(router, GatewayApiRouter) else "virtualservices"
    router.set_route(world(5))
    look(namespace)
    namespace.present = lambda *_: None
    with pytest.raises(WorldUnavailable, match="changed meanwhile"):
        router.set_route(world(4))
    metadata = kube.objects[plural, "churn-production"]["metadata"]
    assert metadata["annotations"]["slipway.dev/generation"] == "5"


@pytest.mark.parametrize(
    ("behaviour", "failed", "restarts", "says"),
    [
        ("no gpu", False, 0, "waiting for a place in the cluster: 0/3 nodes: 3 Insufficient nvidia.com/gpu."),
        ("never", True, 4, "fetch ended with 3 (Error): the digest differs"),
        ("crash", False, 8, "server ended with 137 (OOMKilled)"),
        ("image", False, 0, "ImagePullBackOff: no such image"),
    ],
)
def test_what_is_wrong_with_a_pod_is_told_and_only_a_hopeless_artifact_is_a_failure(
    cluster, kube, behaviour, failed, restarts, says
):
    kube.behaviour["1"] = behaviour
    cluster.apply(world(), ARTIFACTS)
    status = cluster.observe("churn-production")["1"]
    assert (status.ready, status.failed, status.restarts, status.message) == (0, failed, restarts, says)


def test_an_autoscaler_is_not_fought_over_the_number_of_replicas(kube, namespace):
    target = replace(TARGET, max_replicas=8)
    cluster = KubernetesCluster(Targets(target, {}), lambda _: namespace)
    cluster.apply(world(), ARTIFACTS)
    kube.edit("deployments", "churn-production-v1", lambda item: item["spec"].update(replicas=5))
    look(namespace)
    cluster.apply(world(2), ARTIFACTS)
    applied = [item for (kind, _), item in kube.objects.items() if kind == "horizontalpodautoscalers"]
    assert (applied[0]["spec"]["minReplicas"], applied[0]["spec"]["maxReplicas"]) == (2, 8)


def test_gpus_are_requested_by_the_server_alone_and_never_surged(kube, namespace):
    cluster = KubernetesCluster(Targets(replace(TARGET, gpus=2, preflight="off"), {}), lambda _: namespace)
    cluster.apply(world(), ARTIFACTS)
    spec = kube.objects["deployments", "churn-production-v1"]["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxSurge"] == 0
    server, fetch = spec["template"]["spec"]["containers"][0], spec["template"]["spec"]["initContainers"][0]
    assert (
        server["resources"]["limits"]["nvidia.com/gpu"]
        == server["resources"]["requests"]["nvidia.com/gpu"]
        == "2"
    )
    assert "nvidia.com/gpu" not in fetch["resources"]["limits"]


def test_a_route_that_no_controller_took_over_is_unknown(gateway, kube, namespace):
    kube.routes_frozen = True
    gateway.set_route(world())
    with pytest.raises(WorldUnavailable, match="No controller"):
        gateway.observed_route("churn-production")
    kube.routes_frozen = False
    kube.edit("httproutes", "churn-production", lambda item: None)
    look(namespace)
    assert gateway.observed_route("churn-production").weights == {"1": 100}
    kube.routes_frozen = True
    gateway.set_route(world(2, (ONE, TWO), (("2", 5), ("1", 95))))
    with pytest.raises(WorldUnavailable, match="newest split"):
        gateway.observed_route("churn-production")


def test_a_split_that_was_edited_by_hand_is_seen_and_asserted_again(router, kube, namespace):
    split = (("2", 5), ("1", 95))
    router.set_route(world(1, (ONE, TWO), split))

    def to_half(item):
        rules = item["spec"].get("rules") or item["spec"]["http"]
        for backend in rules[0].get("backendRefs") or rules[0]["route"]:
            backend["weight"] = 50

    plural = "httproutes" if isinstance(router, GatewayApiRouter) else "virtualservices"
    kube.edit(plural, "churn-production", to_half)
    look(namespace)
    assert router.observed_route("churn-production").weights == {"2": 50, "1": 50}
    router.set_route(world(1, (ONE, TWO), split))
    assert router.observed_route("churn-production").weights == {"2": 5, "1": 95}


def test_rules_that_others_added_stay(router, kube, namespace):
    router.set_route(world())
    istio = isinstance(router, IstioRouter)
    plural, rules = ("virtualservices", "http") if istio else ("httproutes", "rules")
    theirs = (
        {"name": "docs", "route": [{"destination": {"host": "docs"}}]}
        if istio
        else {"backendRefs": [{"name": "docs", "port": 80}]}
    )
    kube.edit(plural, "churn-production", lambda item: item["spec"][rules].append(theirs))
    look(namespace)
    router.set_route(world(2, (ONE, TWO), (("2", 5), ("1", 95))))
    assert theirs in kube.objects[plural, "churn-production"]["spec"][rules]
    assert router.observed_route("churn-production").weights == {"2": 5, "1": 95}


def test_saying_the_same_again_writes_nothing(router, cluster, kube, namespace):
    for _ in range(2):
        cluster.apply(world(releases=(ONE, TWO)), ARTIFACTS)
        router.set_route(world(releases=(ONE, TWO), split=(("2", 5), ("1", 95))))
        look(namespace)
    before = dict(kube.calls)
    for _ in range(3):
        cluster.apply(world(releases=(ONE, TWO)), ARTIFACTS)
        router.set_route(world(releases=(ONE, TWO), split=(("2", 5), ("1", 95))))
        look(namespace)
    written = {call: count - before.get(call, 0) for call, count in kube.calls.items() if call[0] != "GET"}
    assert set(written.values()) == {0}


def test_the_calls_of_a_tick_do_not_grow_with_the_rollouts_of_a_namespace(
    router, cluster, kube, namespace, monkeypatch
):
    names = [f"e-{number}" for number in range(8)]
    for name in names:
        cluster.apply(world(endpoint=name), ARTIFACTS)
        router.set_route(world(endpoint=name))

    def reads(few):
        look(namespace)
        kube.calls.clear()
        for name in few:
            cluster.observe(name)
            router.observed_route(name)
            cluster.apply(world(endpoint=name), ARTIFACTS)
            router.set_route(world(endpoint=name))
        return sum(kube.calls.values())

    # However slowly this machine goes through them: it is one moment.
    monkeypatch.setattr(seen, "FRESH_SECONDS", 60)
    assert reads(names) == reads(names[:1]) <= 5


def test_an_object_of_the_same_name_that_is_somebody_elses_is_left_alone(cluster, router, kube):
    for plural in ("deployments", "httproutes", "virtualservices"):
        name = "churn-production-v1" if plural == "deployments" else "churn-production"
        kube.objects[plural, name] = {"metadata": {"name": name, "uid": "theirs", "resourceVersion": "1"}}
    before = dict(kube.objects)
    for write in (lambda: cluster.apply(world(), ARTIFACTS), lambda: router.set_route(world())):
        with pytest.raises(WorldUnavailable, match="somebody else's"):
            write()
    assert {key: kube.objects[key] for key in before} == before


def test_pods_that_a_quota_refuses_are_told_in_the_quotas_words(cluster, kube):
    kube.behaviour["1"] = "no gpu"
    cluster.apply(world(), ARTIFACTS)
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}
    item = kube.objects["deployments", "churn-production-v1"]
    item["status"] = {"observedGeneration": item["metadata"]["generation"], "conditions": [refused]}
    for key in [key for key in kube.objects if key[0] == "pods"]:
        kube.objects.pop(key)
    status = cluster.observe("churn-production")["1"]
    assert (status.failed, status.message) == (False, "the cluster makes no pod: exceeded quota: gpus")


@pytest.mark.parametrize(
    ("owners", "kept"), [(["slipway"], 3), (["slipway", "kube-controller-manager"], None)]
)
def test_replicas_are_let_go_of_only_when_an_autoscaler_has_taken_them_over(kube, namespace, owners, kept):
    KubernetesCluster(Targets(TARGET, {}), lambda _: namespace).apply(world(), ARTIFACTS)
    item = kube.objects["deployments", "churn-production-v1"]
    item["spec"]["replicas"] = 3
    field = {"f:spec": {"f:replicas": {}}}
    item["metadata"]["managedFields"] = [{"manager": name, "fieldsV1": field} for name in owners]
    applied = []
    original = kube.apply
    kube.apply = lambda plural, name, body: (applied.append(deepcopy(body)), original(plural, name, body))[1]
    look(namespace)
    KubernetesCluster(Targets(replace(TARGET, max_replicas=8), {}), lambda _: namespace).apply(
        world(2), ARTIFACTS
    )
    assert applied[0]["spec"].get("replicas") == kept


def test_in_a_mesh_the_route_belongs_to_a_service_that_callers_name(kube, namespace):
    target = replace(TARGET, gateway={"kind": "Service"})
    router = GatewayApiRouter(Targets(target, {}), lambda _: namespace)
    router.set_route(world())
    spec = kube.objects["httproutes", "churn-production"]["spec"]
    assert spec["parentRefs"] == [{"name": "churn-production", "kind": "Service", "group": ""}]
    assert spec["rules"][0]["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert ("services", "churn-production") in kube.objects
    assert router.observed_route("churn-production").weights == {"1": 100}


def test_a_route_without_a_gateway_is_refused_in_words(namespace):
    router = GatewayApiRouter(Targets(replace(TARGET, gateway={}), {}), lambda _: namespace)
    with pytest.raises(WorldUnavailable, match="No Gateway is named"):
        router.set_route(world())


def test_an_autoscaler_follows_a_metric_of_the_pods_where_one_is_named(kube, namespace):
    target = replace(TARGET, max_replicas=8, scale_on={"metric": "model_queue_depth", "value": "5"})
    KubernetesCluster(Targets(target, {}), lambda _: namespace).apply(world(), ARTIFACTS)
    (metric,) = kube.objects["horizontalpodautoscalers", "churn-production-v1"]["spec"]["metrics"]
    assert metric["pods"] == {
        "metric": {"name": "model_queue_depth"},
        "target": {"type": "AverageValue", "averageValue": "5"},
    }


@pytest.mark.parametrize("given", [{"metric": "model_queue_depth"}, {"metric": "m", "value": 5}])
def test_what_an_autoscaler_follows_is_checked(given):
    with pytest.raises(ImproperlyConfigured, match="default.scale_on"):
        parse({"default": {"image": "ours", "scale_on": given}})


def test_each_environment_may_have_a_cluster_of_its_own(kube, namespace):
    other = Cluster()
    with running(other) as (elsewhere, _, _):
        where = Targets(TARGET, {"production": replace(TARGET, context="prod")})
        find = {"": namespace, "prod": elsewhere}
        cluster = KubernetesCluster(where, lambda target: find[target.context])
        cluster.apply(world(endpoint="staging"), ARTIFACTS)
        cluster.apply(replace(world(endpoint="prod"), environment="production"), ARTIFACTS)
        restarted = KubernetesCluster(where, lambda target: find[target.context])
        assert [restarted.observe(name)["1"].ready for name in ("staging", "prod")] == [2, 2]
    assert ("deployments", "staging-v1") in kube.objects and ("deployments", "prod-v1") in other.objects
    assert len([kind for kind, _ in (*kube.objects, *other.objects) if kind == "deployments"]) == 2
