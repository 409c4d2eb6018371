"""The contract that every world keeps (rollouts/tests/test_ports_contract.py), kept by a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from rollouts.adapters.kubernetes import GatewayApiRouter, IstioRouter, KubernetesCluster
from rollouts.adapters.kubernetes.target import Targets
from rollouts.domain.desired import DesiredWorld, ReleaseSpec
from rollouts.tests import test_ports_contract as contract
from tests.e2e.place import Place, digest_of, until


@dataclass
class RealWorld(contract.World):
    """Servers with real models on real nodes."""

    place: Place = field(kw_only=True)

    def release(self, version: str, *, artifact: str = "{}") -> ReleaseSpec:
        digest = digest_of(version)
        self.artifacts[digest] = f"s3://models/{digest[7:]}.onnx"
        return ReleaseSpec(version, digest, replicas=1)


WORLDS = {
    "gateway api": (GatewayApiRouter, "deployment"),
    "istio": (IstioRouter, "deployment"),
    "kserve": (GatewayApiRouter, "inferenceservice"),
}


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, place: Place, controller, predictors) -> Iterator[contract.World]:
    router, workload = WORLDS[request.param]
    if workload == "inferenceservice" and not predictors:
        pytest.skip("the cluster has no serving.kserve.io")
    namespace, where = place.namespace(), Targets(place.target(workload=workload), {})

    def cut() -> None:
        namespace.api._client.configuration.host = "https://127.0.0.1:1"
        namespace.api._client.rest_client.pool_manager.clear()

    world = RealWorld(
        KubernetesCluster(where, lambda _: namespace),
        router(where, lambda _: namespace),
        cut,
        place=place,
    )
    try:
        yield world
    finally:
        clear(place, workload)


def clear(place: Place, workload: str) -> None:
    """Nothing of the endpoint is left for the next test."""
    namespace = place.namespace()
    KubernetesCluster(Targets(place.target(workload=workload), {}), lambda _: namespace).apply(
        DesiredWorld(contract.ENDPOINT, "churn", 99, (), None), {}
    )
    for group, plural in (
        ("gateway.networking.k8s.io", "httproutes"), ("networking.istio.io", "virtualservices"),
        ("networking.istio.io", "destinationrules"),
    ):  # fmt: skip
        place.call("DELETE", f"/apis/{group}/v1/namespaces/{place.name}/{plural}")
    until(lambda: not place.pods(contract.ENDPOINT))


for _name in dir(contract):
    if _name.startswith("test_") and "local" not in _name:
        globals()[_name] = getattr(contract, _name)
