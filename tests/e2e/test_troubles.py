"""What goes wrong in clusters, on a real one: it is told in its own words, waited out, and nobody else is blamed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from urllib3.exceptions import HTTPError

from rollouts.adapters.kubernetes import GatewayApiRouter, KubernetesCluster, seen
from rollouts.adapters.kubernetes.api import DEPLOYMENT, Api
from rollouts.adapters.kubernetes.manifests import SELECTOR
from rollouts.adapters.kubernetes.target import Targets
from rollouts.domain.desired import DesiredWorld, ReleaseSpec, Route
from rollouts.errors import WorldUnavailable
from tests.e2e.live import Live
from tests.e2e.place import APPLY, MERGE, ROOT, Place, Refused, digest_of, until
from tests.e2e.test_rollouts import live, why  # noqa: F401

pytestmark = pytest.mark.django_db
on_gateway_api = pytest.mark.parametrize("live", [GatewayApiRouter], indirect=True)
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
HALF = {"2": 50, "1": 50}


def token(place: Place, name: str) -> str:
    """One that is void as soon as the Secret of that name is gone."""
    place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}, "secrets")
    bound = {"apiVersion": "v1", "kind": "Secret", "name": name}
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"boundObjectRef": bound},
    }
    given: str = place.call("POST", "/serviceaccounts/slipway/token", asked)["status"]["token"]
    return given


def as_kubeconfig(place: Place, folder: Path, monkeypatch) -> Callable[[str], None]:
    """Slipway finds its way in a kubeconfig; returns how a token gets there."""
    there, file = place.admin.configuration, folder / "kubeconfig"
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))

    def write(given: str) -> None:
        cluster = {"server": there.host, "certificate-authority": str(there.ssl_ca_cert)}
        document = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": given}}],
            "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}],
        }
        file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **document}))

    return write


def as_pod(place: Place, folder: Path, monkeypatch) -> Callable[[str], None]:
    """Slipway runs in the cluster: the kubelet puts the token into a file, and a newer one later."""
    there, file = urlsplit(place.admin.configuration.host), folder / "token"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", there.hostname)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(there.port))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(file))
    authority = str(place.admin.configuration.ssl_ca_cert)
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", authority)
    return file.write_text


@pytest.mark.parametrize(("way", "context"), [(as_kubeconfig, "prod"), (as_pod, "")])
def test_credentials_that_expire_are_read_anew(bare_place: Place, tmp_path: Path, monkeypatch, way, context):
    place, write = bare_place, way(bare_place, tmp_path, monkeypatch)
    write(token(place, "first"))
    api = Api(context=context)
    assert api.list(DEPLOYMENT, place.name, SELECTOR) == []
    place.call("DELETE", "/secrets/first")

    def expired() -> bool:
        try:
            api.list(DEPLOYMENT, place.name, SELECTOR)
        except WorldUnavailable as error:
            return "401" in str(error)
        return False

    until(expired)  # the API server remembers tokens for some seconds
    write(token(place, "second"))
    assert api.list(DEPLOYMENT, place.name, SELECTOR) == []


@pytest.fixture
def throttled(bare_place: Place) -> Iterator[Place]:
    """The API server has no room for Slipway's requests, by priority and fairness, until `stop` is called.

    A level without seats still lets one request through at a time; somebody else with our account takes that.
    """
    name, busy = bare_place.name, threading.Event()
    level = {
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        }
    }  # fmt: skip
    account = {"kind": "ServiceAccount", "serviceAccount": {"name": "slipway", "namespace": name}}
    everything = {
        "verbs": ["*"],
        "apiGroups": ["*"],
        "resources": ["*"],
        "namespaces": ["*"],
        "clusterScope": True,
    }
    schema = {
        "spec": {
            "priorityLevelConfiguration": {"name": name},
            "matchingPrecedence": 2,
            "rules": [{"subjects": [account], "resourceRules": [everything]}],
        }
    }

    def start() -> None:
        for plural, kind, body in (
            ("prioritylevelconfigurations", "PriorityLevelConfiguration", level),
            ("flowschemas", "FlowSchema", schema),
        ):
            given = {
                "apiVersion": FLOW.removeprefix("/apis/"),
                "kind": kind,
                "metadata": {"name": name},
                **body,
            }
            bare_place.call("PATCH", f"{FLOW}/{plural}/{name}", given, APPLY, fieldManager="e2e")
        busy.set()
        for _ in range(6):
            threading.Thread(target=crowd, daemon=True).start()

    def crowd() -> None:
        client = bare_place.namespace().api._client
        headers = {"Authorization": f"Bearer {bare_place.token}"}
        path = f"{client.configuration.host}/api/v1/namespaces/{name}/pods"
        while busy.is_set():
            with contextlib.suppress(HTTPError):
                client.rest_client.pool_manager.request("GET", path, headers=headers, retries=False)

    def stop() -> None:
        busy.clear()
        for plural in ("flowschemas", "prioritylevelconfigurations"):
            try:
                bare_place.call("DELETE", f"{FLOW}/{plural}/{name}")
            except Refused as error:
                assert error.status == 404

    bare_place.start_throttling, bare_place.stop_throttling = start, stop
    yield bare_place
    stop()


@on_gateway_api
def test_an_api_server_that_throttles_holds_the_rollout_and_blames_nobody(live: Live, throttled):  # noqa: F811
    live.start(2, hold_seconds=3)
    live.until(lambda: live.weights() == HALF)
    throttled.start_throttling()
    live.until(lambda: "429" in live.endpoint.observed.get("problem", ""))
    assert live.newest().phase in ("progressing", "holding")
    throttled.stop_throttling()
    live.ends("succeeded")


def test_who_read_an_older_object_writes_nothing_and_looks_again(bare_place: Place, controller, monkeypatch):
    """However long ago this worker listed: the API server knows which version it has seen."""
    place, name = bare_place, f"e2e-{uuid.uuid4().hex[:6]}"
    target = place.target(node_selector={"slipway.dev/no": "such-node"})
    namespace, where = place.namespace(), Targets(target, {})
    cluster = KubernetesCluster(where, lambda _: namespace)
    router = GatewayApiRouter(where, lambda _: namespace)

    def world(generation: int) -> DesiredWorld:
        release = ReleaseSpec("1", digest_of("1"), replicas=generation)
        return DesiredWorld(name, "churn", generation, (release,), Route(split=(("1", 100),)))

    def decide(generation: int) -> None:
        cluster.apply(world(generation), {digest_of("1"): "s3://models/x"})
        router.set_route(world(generation))

    decide(1)
    accepted = f"/apis/gateway.networking.k8s.io/v1/namespaces/{place.name}/httproutes/{name}"
    until(lambda: place.call("GET", accepted).get("status", {}).get("parents"))
    time.sleep(seen.FRESH_SECONDS)
    monkeypatch.setattr(seen, "FRESH_SECONDS", 3600)
    cluster.observe(name)
    assert router.observed_route(name).weights == {"1": 100}
    theirs = {"metadata": {"labels": {"example.org/note": "theirs"}}}
    paths = (
        f"/apis/apps/v1/namespaces/{place.name}/deployments/{name}-v1",
        accepted,
    )
    try:
        for path in paths:
            place.call("PATCH", path, theirs, MERGE)
        with pytest.raises(WorldUnavailable, match="changed meanwhile"):
            cluster.apply(world(2), {digest_of("1"): "s3://models/x"})
        with pytest.raises(WorldUnavailable, match="changed meanwhile"):
            router.set_route(world(2))
        decide(2)
        for path in paths:
            assert place.call("GET", path)["metadata"]["labels"]["example.org/note"] == "theirs"
        assert place.call("GET", paths[0])["spec"]["replicas"] == 2
    finally:
        for path in paths:
            place.call("DELETE", path)


# The Deployment is created and then held as if it had been applied; what stands beside it follows.
@pytest.mark.parametrize(("writes", "objects"), list(enumerate([0, 1, 1, 2, 3])))
def test_what_a_worker_killed_between_two_writes_left_undone_is_done_by_the_next(
    bare_place: Place, writes: int, objects: int
):
    place, name = bare_place, f"e2e-{uuid.uuid4().hex[:6]}"
    there, fields = place.admin.configuration, ("namespace", "image", "cpu", "memory", "gateway")
    target = place.target(node_selector={"slipway.dev/no": "such-node"})
    told = {
        "host": there.host, "ca": str(there.ssl_ca_cert), "token": place.token, "writes": writes,
        "endpoint": name, "digest": digest_of("1"),
        "target": {**{field: getattr(target, field) for field in fields}, "node_selector": target.node_selector},
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.e2e.victim"]
    died = subprocess.run(command, input=json.dumps(told), text=True, cwd=ROOT, timeout=120)
    assert died.returncode == -9

    def there_is(plural: str, root: str = "/api/v1") -> bool:
        try:
            return bool(place.call("GET", f"{root}/namespaces/{place.name}/{plural}/{name}-v1"))
        except Refused:
            return False

    kinds = [
        ("deployments", "/apis/apps/v1"), ("configmaps", "/api/v1"), ("services", "/api/v1"),
        ("poddisruptionbudgets", "/apis/policy/v1"),
    ]  # fmt: skip
    assert sum(there_is(*kind) for kind in kinds) == objects
    namespace = place.namespace()
    release = ReleaseSpec("1", digest_of("1"), replicas=1)
    world = DesiredWorld(name, "churn", 1, (release,), None)
    KubernetesCluster(Targets(target, {}), lambda _: namespace).apply(
        world, {release.digest: "s3://models/x"}
    )
    try:
        assert all(there_is(*kind) for kind in kinds)
    finally:
        place.call("DELETE", f"/apis/apps/v1/namespaces/{place.name}/deployments/{name}-v1")


@on_gateway_api
def test_a_pod_that_its_node_ends_is_replaced_and_the_rollout_goes_on(live: Live):  # noqa: F811
    """A time limit on the pod makes the kubelet end it, as when memory or disk of the node run out."""
    live.start(2, hold_seconds=3, deadline_seconds=300)
    live.until(lambda: live.weights() == HALF)
    (pod,) = live.place.pods(live.endpoint.name, "2")
    live.place.call(
        "PATCH", f"/pods/{pod['metadata']['name']}", {"spec": {"activeDeadlineSeconds": 1}}, MERGE
    )
    live.until(lambda: "DeadlineExceeded" in live.endpoint.observed["workloads"]["2"]["message"])
    done = live.ends("succeeded")
    assert done.transitions.filter(to_phase="holding").exists()
    live.tick()
    live.endpoint.refresh_from_db()
    status = live.endpoint.observed["workloads"]["2"]
    assert (status["ready"], status["restarts"], status["message"]) == (1, 0, "")


@on_gateway_api
def test_a_node_that_falls_silent_is_told_as_such_and_no_model_is_blamed(live: Live):  # noqa: F811
    command = os.environ.get("SLIPWAY_E2E_SILENCE")
    if not command:
        pytest.skip("SLIPWAY_E2E_SILENCE names no command that stops the kubelets for 90 s")
    live.start(2, hold_seconds=100, deadline_seconds=600, ready_within_seconds=300)
    live.until(lambda: live.weights() == HALF)
    silence = subprocess.Popen(command, shell=True)
    live.until(lambda: "nothing is heard of its node" in str(live.endpoint.observed["workloads"].get("2")))
    live.until(lambda: silence.poll() is not None)
    assert live.newest().finished_at is None
    live.until(lambda: live.newest().finished_at is not None, seconds=400)
    assert live.newest().phase == "succeeded"


def test_an_image_that_cannot_be_pulled_is_named_and_is_no_failure_of_the_model(place: Place):
    name, release = f"e2e-{uuid.uuid4().hex[:6]}", ReleaseSpec("1", digest_of("1"), replicas=1)
    namespace = place.namespace()
    where = Targets(place.target(image="localhost:1/slipway/no-such-image:1"), {})
    cluster = KubernetesCluster(where, lambda _: namespace)
    cluster.apply(DesiredWorld(name, "churn", 1, (release,), None), {release.digest: "s3://models/x"})
    try:
        until(lambda: "Pull" in cluster.observe(name)["1"].message)
        status = cluster.observe(name)["1"]
        assert "slipway/no-such-image:1" in status.message
        assert (status.ready, status.failed, status.restarts) == (0, False, 0)
    finally:
        place.call("DELETE", f"/apis/apps/v1/namespaces/{place.name}/deployments/{name}-v1")


@on_gateway_api
def test_an_artifact_that_the_store_does_not_have_is_named(live: Live):  # noqa: F811
    digest = live.versions[1].digest
    usual = live.ports.artifacts.path_or_uri
    live.ports.artifacts.path_or_uri = lambda one: "s3://models/none.onnx" if one == digest else usual(one)
    live.start(2, ready_within_seconds=40)
    done = live.ends("rolled_back")
    assert "fetch ended with" in why(done)
    assert "none.onnx" in why(done)
