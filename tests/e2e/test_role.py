"""The shipped role is enough, and each of its verbs is needed: without it something that Slipway does is refused."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from rollouts.adapters.kubernetes import GatewayApiRouter, IstioRouter, KubernetesCluster
from rollouts.adapters.kubernetes.target import Targets
from rollouts.adapters.kubernetes.workloads import kind_of
from rollouts.domain.desired import DesiredWorld, ReleaseSpec, Route
from rollouts.errors import WorldUnavailable
from tests.e2e.place import PREFLIGHT, ROLE, Place, digest_of, until

RULES: list[dict[str, Any]] = yaml.safe_load(ROLE.read_text())["rules"]
ONE, TWO = (ReleaseSpec(n, digest_of(n), replicas=1) for n in "12")
ARTIFACTS = {ONE.digest: "s3://models/one", TWO.digest: "s3://models/two"}
VERBS = [
    (at, resource, verb)
    for at, rule in enumerate(RULES)
    for resource, verb in itertools.product(rule["resources"], rule["verbs"])
]


# How servers may stand in a cluster, by the API that the cluster must have for it beside Kubernetes' own.
PLAIN, KSERVE, KEDA = "monitoring.coreos.com", "serving.kserve.io", "keda.sh"
WAYS: dict[str, dict[str, Any]] = {
    PLAIN: {"max_replicas": 2, "pod_monitor": True},
    KSERVE: {"workload": "inferenceservice", "service_monitor": True},
    KEDA: {"max_replicas": 2, "keda": {"server": "http://prometheus:9090"}},
}
WAY_OF = {"inferenceservices": KSERVE, "servicemonitors": KSERVE, "scaledobjects": KEDA}


def has(place: Place, api: str) -> bool:
    """Whether the cluster knows the API."""
    groups = place.call("GET", "/apis")["groups"]
    return api in [group["name"] for group in groups]


def everything(place: Place, way: str = PLAIN, *, preflight: bool = True) -> None:
    """All that Slipway ever asks of a cluster, in one of the ways; its pods are never scheduled."""
    name = f"role-{uuid.uuid4().hex[:6]}"
    target = place.target(**WAYS[way], gpus=1, preflight="say", node_selector={"slipway.dev/no": "such-node"})
    namespace, where = place.namespace(), Targets(target, {})
    cluster = KubernetesCluster(where, lambda _: namespace)
    # The same environment after somebody took from its file what stands beside the servers.
    without = replace(target, max_replicas=0, keda={}, pod_monitor=False, service_monitor=False)
    later = KubernetesCluster(Targets(without, {}), lambda _: namespace)
    routers = [make(where, lambda _: namespace) for make in (GatewayApiRouter, IstioRouter)]
    try:
        for generation, releases in enumerate([(ONE,), (ONE, TWO), (ONE,), ()], 1):
            split = (("2", 5), ("1", 95)) if TWO in releases else (("1", 100),)
            world = DesiredWorld(name, "churn", generation, releases, Route(split=split))
            (later if generation == 3 else cluster).apply(world, ARTIFACTS)
            cluster.observe(name)
            if preflight:
                cluster.room("")
            for router in routers if releases else ():
                router.set_route(world)
        routers[1].observed_route(name)
    finally:
        kind = kind_of(target)
        place.call("DELETE", kind.path(place.name), labelSelector=f"slipway.dev/endpoint={name}")


@pytest.fixture
def role(bare_place) -> Iterator[Place]:
    yield bare_place
    bare_place.allow(RULES)
    _in_force(bare_place, 0, "deployments", "list", allowed=True)


def _in_force(place: Place, at: int, resource: str, verb: str, *, allowed: bool, wide: bool = False) -> None:
    """The API server has taken the change of the role over."""
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{place.name}:slipway",
            "resourceAttributes": {
                "namespace": "" if wide else place.name, "verb": verb, "resource": resource, "group": "" if wide else RULES[at]["apiGroups"][0],
            },
        },
    }  # fmt: skip
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    until(lambda: place.call("POST", path, asked)["status"]["allowed"] is allowed, pause=0.05)


@pytest.mark.parametrize("way", WAYS)
def test_the_shipped_role_is_enough(role, way):
    if not has(role, way):
        pytest.skip(f"the cluster has no {way}")
    everything(role, way)


@pytest.mark.parametrize(("at", "resource", "verb"), VERBS, ids=lambda value: str(value))
def test_without_this_verb_something_is_refused(role, at, resource, verb):
    way = WAY_OF.get(resource, PLAIN)
    if not has(role, way):
        pytest.skip(f"the cluster has no {way}")
    rules = copy.deepcopy(RULES)
    rule = rules.pop(at)
    others = [one for one in rule["resources"] if one != resource]
    verbs = [one for one in rule["verbs"] if one != verb]
    rules += [{**rule, "resources": others}] if others else []
    rules += [{**rule, "resources": [resource], "verbs": verbs}] if verbs else []
    role.allow(rules)
    # The cluster-wide role lets all pods be listed, so it must not be there when this one is asked about.
    preflight = resource != "pods"
    if not preflight:
        role.allow_preflight([])
    try:
        _in_force(role, at, resource, verb, allowed=False)
        with pytest.raises(WorldUnavailable, match="403"):
            everything(role, way, preflight=preflight)
    finally:
        if not preflight:
            role.allow_preflight()


@pytest.mark.parametrize("resource", ["nodes", "pods"])
def test_without_this_verb_of_the_clusters_role_nobody_can_say_what_fits(role, resource):
    (rule,) = yaml.safe_load(PREFLIGHT.read_text())["rules"]
    left = [one for one in rule["resources"] if one != resource]
    assert len(left) == 1 and rule["verbs"] == ["list"]
    role.allow_preflight([{**rule, "resources": left}])
    try:
        _in_force(role, 0, resource, "list", allowed=False, wide=True)
        with pytest.raises(WorldUnavailable, match="403"):
            everything(role)
    finally:
        role.allow_preflight()
        _in_force(role, 0, resource, "list", allowed=True, wide=True)
