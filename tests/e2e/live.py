"""A rollout on a cluster, ticked in real time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils import timezone

from monitoring.domain.judge import Verdict
from registry.adapters.memory import MemoryStore
from registry.domain.actor import Actor
from registry.models import Model, Version
from rollouts import reconcile, services
from rollouts.models import Endpoint, Rollout
from rollouts.reconcile import Ports
from rollouts.tests.cast import judgement
from tests.e2e.place import ARTIFACTS, Place, digest_of

ADA = Actor(kind="user", name="ada", id=None)
QUICK = {
    "hold_seconds": 1,
    "analyse_seconds": 2,
    "interval_seconds": 1,
    "deadline_seconds": 120,
    "ready_within_seconds": 120,
    "retire_after_seconds": 0,
    "gates": [{"kind": "error_rate", "name": "errors", "max": 0.05, "min_samples": 20}],
}


class Store(MemoryStore):
    """Where pods fetch artifacts."""

    def path_or_uri(self, digest: str) -> str:
        return f"s3://models/{digest[7:]}.onnx"


@dataclass
class Live:
    """One endpoint; `verdict` is what the gates say, None lets them judge what is measured."""

    place: Place
    endpoint: Endpoint
    versions: list[Version]
    ports: Ports
    verdict: Verdict | None = Verdict.PASS
    judge: Callable[..., object] = field(default=reconcile.judge)

    def judged(self, *args: object) -> object:
        """Stands in for `monitoring.analysis.judge`."""
        return judgement(self.verdict) if self.verdict else self.judge(*args)

    def tick(self) -> None:
        reconcile.tick(self.endpoint.pk, self.ports, timezone.now())

    def until(self, true: Callable[[], bool], seconds: float = 180) -> None:
        """Ticks, some per second, until it is true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{self.endpoint.active} {self.endpoint.observed}"
            self.tick()
            time.sleep(0.25)
            self.endpoint.refresh_from_db()

    def ends(self, phase: str) -> Rollout:
        """The newest rollout when it is in that phase; anything else final is a failure."""
        self.until(lambda: self.newest().phase == phase or self.newest().finished_at is not None)
        assert self.newest().phase == phase, self.newest().reason
        return self.newest()

    def serving(self) -> None:
        """The first version has all the traffic."""
        self.until(lambda: self.weights() == {"1": 100})

    def newest(self) -> Rollout:
        return Rollout.objects.filter(endpoint=self.endpoint).latest("id")

    def start(
        self, version: int, strategy: str = "canary", *, supersede: bool = False, **parameters: object
    ) -> Rollout:
        """A rollout of version 2 (good) or 3 (bad)."""
        given = {**QUICK, **({"steps": [50]} if strategy == "canary" else {}), **parameters}
        given = {key: value for key, value in given.items() if value is not None}
        return services.start_rollout(
            endpoint=self.endpoint, version=self.versions[version - 1], strategy=strategy,
            parameters=given, actor=ADA, reason="e2e", supersede=supersede,
        )  # fmt: skip

    def weights(self) -> dict[str, int] | None:
        """The split as last observed."""
        self.endpoint.refresh_from_db()
        return self.endpoint.observed.get("weights")

    def alone(self, version: str) -> None:
        """Only that version has traffic, and soon only its servers are there."""
        self.until(
            lambda: self.weights() == {version: 100}
            and {p["metadata"]["labels"]["slipway.dev/version"] for p in self.place.pods(self.endpoint.name)} == {version}
        )  # fmt: skip

    def remove(self) -> None:
        """Everything of the endpoint goes from the cluster."""
        namespace, name = self.place.name, self.endpoint.name
        selector = f"slipway.dev/endpoint={name}"
        for root, plural in (
            ("/apis/apps/v1", "deployments"), ("/apis/gateway.networking.k8s.io/v1", "httproutes"),
            ("/apis/networking.istio.io/v1", "virtualservices"), ("/apis/networking.istio.io/v1", "destinationrules"),
        ):  # fmt: skip
            self.place.call("DELETE", f"{root}/namespaces/{namespace}/{plural}", labelSelector=selector)


def endpoint_of(name: str, replicas: int = 1) -> tuple[Endpoint, list[Version]]:
    """An endpoint that is to serve version 1 of three whose artifacts are in the store."""
    model = Model.objects.create(name=name, last_number=3)
    versions = [
        Version.objects.create(
            model=model, number=int(n), digest=digest_of(n), size=len(ARTIFACTS[n]), format="onnx"
        )
        for n in "123"
    ]
    production = services.create_environment(name="production", actor=ADA)
    endpoint = services.create_endpoint(
        name=name, environment=production, version=versions[0], replicas=replicas, actor=ADA
    )
    return endpoint, versions
