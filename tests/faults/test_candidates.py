"""A candidate that is killed, flaps, or is not what was pinned: real model servers behind the real gateway.

The fleet, the gateway and the S3 service are processes of their own; the ticks run here, in real time.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from django.utils import timezone

from deploy.fleet.ports import free_port
from deploy.fleet.servers import SERVING
from deploy.fleet.tests.harness import ROOT, Home, fleet, until
from deploy.serving.tests.models import linear
from monitoring.adapters.memory import MemorySource
from monitoring.domain.judge import Verdict
from registry.adapters.s3 import S3Store
from registry.models import Model, Version
from registry.tests.s3 import BUCKET, serving
from rollouts import reconcile, services
from rollouts.adapters.local import LocalCluster, LocalRouter
from rollouts.conftest import author
from rollouts.models import Endpoint, Rollout
from rollouts.reconcile import Ports
from rollouts.tests.cast import judgement

__all__ = ["author"]
pytestmark = [pytest.mark.stack, pytest.mark.django_db]
# Enough for everything that is killed to be started again on a busy machine.
SECONDS = 40.0
# Nothing is judged, so only what is done to the servers ends the rollout.
PLAN = {
    "steps": [50], "hold_seconds": 0, "analyse_seconds": 600, "interval_seconds": 60, "max_restarts": 2,
    "retire_after_seconds": 0, "ready_within_seconds": 60,
}  # fmt: skip
NUMBERS = itertools.count(1)
ROW = {"features": [[1.0, 2.0, 3.0]]}


@dataclass
class Place:
    """A fleet, a gateway and an S3 bucket."""

    fleet: Home
    ports: Ports
    url: str
    s3: Any

    def key(self, digest: str) -> str:
        return self.ports.artifacts.path_or_uri(digest).removeprefix(f"s3://{BUCKET}/")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home: Path = tmp_path_factory.mktemp("faults")
    port = free_port()
    with ExitStack() as stack:
        # The S3 service tells of each request; that would hide everything else.
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        address, client = stack.enter_context(serving())
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in {
            "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            patched.setenv(name, value)
        running = stack.enter_context(fleet(home, SERVING))
        command = [sys.executable, "-m", "deploy.gateway", "--home", str(home), "--port", str(port)]
        gateway = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        stack.callback(gateway.wait)
        stack.callback(gateway.kill)
        url = f"http://127.0.0.1:{port}"
        store = S3Store(BUCKET, prefix="", client=client)
        ports = Ports(LocalCluster(home), LocalRouter(home, url), MemorySource(), store)
        yield Place(running, ports, url, client)


@dataclass
class Scene:
    """An endpoint that serves version 1, and the versions of its model."""

    place: Place
    endpoint: Endpoint
    versions: list[Version]
    rollout: Rollout | None = None

    def start(self, author: Any, **parameters: Any) -> None:
        """A rollout of version 2."""
        self.rollout = services.start_rollout(
            endpoint=self.endpoint, version=self.versions[1], strategy="canary",
            parameters={**PLAN, **parameters}, actor=author, reason="try",
        )  # fmt: skip

    def tick_until(self, true: Callable[[], Any], meanwhile: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + SECONDS
        while not true():
            reconcile.tick(self.endpoint.pk, self.place.ports, timezone.now())
            if self.rollout:
                self.rollout.refresh_from_db()
            meanwhile()
            said = f"{self.rollout.phase}: {self.rollout.reason}" if self.rollout else "no rollout"
            assert time.monotonic() < deadline, f"{said}; {self.servers()}"
            time.sleep(0.05)

    @property
    def why(self) -> str:
        """Why it went back."""
        return self.rollout.transitions.get(to_phase="rolling_back").reason

    def over(self) -> bool:
        return self.rollout is not None and self.rollout.phase == "rolled_back"

    def exposed(self) -> bool:
        return self.rollout is not None and self.rollout.exposed_at is not None

    def servers(self, version: str = "") -> list[dict[str, Any]]:
        found = self.place.fleet.status(self.endpoint.name)
        return [item for item in found if version in {"", item["version"]}]

    def answers(self) -> str:
        """Which version answers, or the status."""
        reply = requests.post(f"{self.place.url}/{self.endpoint.name}/predict", json=ROW, timeout=10)
        return reply.headers["x-slipway-version"] if reply.ok else str(reply.status_code)

    def assert_only_the_stable_version_answers(self) -> None:
        until(lambda: {self.answers() for _ in range(10)} == {"1"})
        assert {self.answers() for _ in range(40)} == {"1"}


@pytest.fixture
def scene(place: Place, db: None, author: Any, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(reconcile, "judge", lambda *_: judgement(Verdict.NO_DATA))
    name = f"faults-{next(NUMBERS)}"
    model = Model.objects.create(name=name, last_number=2)
    versions = []
    for number in (1, 2):
        data = linear(metadata={"of": f"{name}-{number}"})
        digest = place.ports.artifacts.put(BytesIO(data)).digest
        versions.append(
            Version.objects.create(model=model, number=number, digest=digest, size=len(data), format="onnx")
        )
    environment = services.create_environment(name=f"at-{name}", actor=author)
    endpoint = services.create_endpoint(name=name, environment=environment, version=versions[0], actor=author)
    made = Scene(place, endpoint, versions)
    made.tick_until(lambda: any(item["state"] == "ready" for item in made.servers("1")))
    made.tick_until(lambda: place.ports.router.observed_route(name).weights == {"1": 100})
    return made


def test_a_candidate_that_the_kernel_kills_whenever_it_is_ready_goes_back(scene: Scene, author: Any) -> None:
    """SIGKILL is what the out-of-memory killer sends."""
    scene.start(author)
    scene.tick_until(scene.exposed)
    assert {scene.answers() for _ in range(60)} == {"1", "2"}
    killed: set[int] = set()

    def kill() -> None:
        for server in scene.servers("2"):
            if server["state"] == "ready" and server["pid"] not in killed:
                os.kill(server["pid"], signal.SIGKILL)
                killed.add(server["pid"])

    scene.tick_until(scene.over, kill)
    assert len(killed) >= 3, "the plan allows two"
    assert "the plan allows 2" in scene.why or "had no ready server" in scene.why
    told = " ".join(scene.rollout.transitions.values_list("reason", flat=True))
    assert "SIGKILL" in told, "the timeline says how it ended"
    scene.assert_only_the_stable_version_answers()


def test_a_candidate_that_is_ready_and_not_in_turns_goes_back_without_a_crash(
    scene: Scene, author: Any
) -> None:
    """A server that stands still for a moment, as one that swaps or collects garbage does."""
    scene.start(author)
    scene.tick_until(scene.exposed)
    (server,) = scene.servers("2")

    def flap() -> None:
        now = scene.servers("2")
        if now and now[0]["pid"] == server["pid"]:
            ready = now[0]["state"] == "ready" and scene.rollout.unready_since is None
            os.kill(server["pid"], signal.SIGSTOP if ready else signal.SIGCONT)

    try:
        scene.tick_until(scene.over, flap)
    finally:
        os.kill(server["pid"], signal.SIGCONT)
    assert "lost its last ready server 3 times; the plan allows 2" in scene.why
    assert all(item["restarts"] == 0 for item in scene.servers("2"))
    scene.assert_only_the_stable_version_answers()


def test_bytes_that_the_store_changed_are_never_served(scene: Scene, author: Any) -> None:
    digest = scene.versions[1].digest
    other = linear(metadata={"of": "somebody else"})
    scene.place.s3.put_object(Bucket=BUCKET, Key=scene.place.key(digest), Body=other)
    scene.start(author)
    seen: set[str] = set()
    scene.tick_until(scene.over, lambda: seen.add(scene.answers()))
    assert "digest" in scene.why
    assert digest.removeprefix("sha256:")[:8] in scene.why
    assert seen == {"1"}
    assert not any(item["state"] == "ready" for item in scene.servers("2"))


def test_an_artifact_that_vanished_from_the_store_ends_the_rollout(scene: Scene, author: Any) -> None:
    digest = scene.versions[1].digest
    scene.place.s3.delete_object(Bucket=BUCKET, Key=scene.place.key(digest))
    scene.start(author, ready_within_seconds=3)
    scene.tick_until(scene.over)
    scene.assert_only_the_stable_version_answers()
