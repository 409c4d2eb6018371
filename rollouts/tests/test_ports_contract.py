"""One contract for every world: what holds in memory holds for real processes and for Kubernetes objects."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from deploy.fleet.ports import free_port
from deploy.fleet.tests.harness import FAKE, ROOT, Home
from rollouts.adapters.kubernetes import GatewayApiRouter, IstioRouter, KubernetesCluster
from rollouts.adapters.local import LocalCluster, LocalRouter
from rollouts.adapters.memory import MemoryCluster, MemoryRouter
from rollouts.domain.desired import DesiredWorld, ReleaseSpec, Route
from rollouts.domain.snapshot import ABSENT
from rollouts.errors import StaleWrite, WorldUnavailable
from rollouts.tests.kubernetes.stand_in import TARGET, running
from rollouts.tests.kubernetes.stand_in import Cluster as KubernetesApi

ENDPOINT = "churn-production"


@dataclass
class World:
    """A cluster and a router to test, and how to make them unreachable."""

    cluster: Any
    router: Any
    cut: Callable[[], None]
    artifacts: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def release(self, version: str, *, artifact: str = "{}") -> ReleaseSpec:
        digest = f"sha256:{sha256(artifact.encode()).hexdigest()}"
        if self.folder:
            path = self.folder / digest[7:]
            path.write_text(artifact)
            self.artifacts[digest] = str(path)
        else:
            self.artifacts[digest] = "memory"
        return ReleaseSpec(version=version, digest=digest, replicas=1)

    def want(
        self, generation: int, releases: list[ReleaseSpec], split: list[tuple[str, int]], **route: Any
    ) -> None:
        world = DesiredWorld(
            ENDPOINT,
            "churn",
            generation,
            tuple(releases),
            Route(split=tuple(split), **route) if split else None,
        )
        self.cluster.apply(world, self.artifacts)
        if split:
            self.router.set_route(world)

    def ready(self) -> dict[str, int]:
        return {
            version: status.ready
            for version, status in self.cluster.observe(ENDPOINT).items()
            if status.ready
        }


@contextlib.contextmanager
def in_memory() -> Iterator[World]:
    cluster, router = MemoryCluster(), MemoryRouter()

    def cut() -> None:
        cluster.down = router.down = True

    yield World(cluster, router, cut)


@contextlib.contextmanager
def on_this_machine(home: Path) -> Iterator[World]:
    """A real fleet whose servers answer like model servers, and the real gateway."""
    port = free_port()
    fleet = Home(home, FAKE)
    fleet.start()
    command = [sys.executable, "-m", "deploy.gateway", "--home", str(home), "--port", str(port)]
    gateway = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    processes = [fleet.process, gateway]

    def cut() -> None:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)

    world = World(LocalCluster(home), LocalRouter(home, f"http://127.0.0.1:{port}"), cut, folder=home)
    try:
        eventually(lambda: world.ready() == {})
        eventually(lambda: world.router.observed_route(ENDPOINT).weights is None)
        yield world
    finally:
        cut()


@contextlib.contextmanager
def on_kubernetes(router: type[Any], workload: str = "deployment") -> Iterator[World]:
    with running(KubernetesApi(), replace(TARGET, workload=workload)) as (namespace, where, cut):
        yield World(KubernetesCluster(where, lambda _: namespace), router(where, lambda _: namespace), cut)


WORLDS = {
    "memory": lambda _: in_memory(),
    "local": on_this_machine,
    "gateway api": lambda _: on_kubernetes(GatewayApiRouter),
    "istio": lambda _: on_kubernetes(IstioRouter),
    "kserve": lambda _: on_kubernetes(GatewayApiRouter, "inferenceservice"),
}


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with WORLDS[request.param](tmp_path) as world:
        yield world


def eventually(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(WorldUnavailable):
            if true():
                return
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


def test_an_endpoint_nobody_asked_for_has_no_servers_and_no_route(world: World):
    assert world.cluster.observe("nobody") == {}
    assert world.router.observed_route("nobody").weights is None


def test_a_release_becomes_ready_and_its_route_is_seen(world: World):
    one, two = world.release("1"), world.release("2")
    world.want(1, [one], [("1", 100)])
    eventually(lambda: world.ready() == {"1": 1})
    eventually(lambda: world.router.observed_route(ENDPOINT).weights == {"1": 100})
    world.want(2, [one, two], [("2", 25), ("1", 75)], mirror=())
    eventually(lambda: world.ready() == {"1": 1, "2": 1})
    eventually(lambda: world.router.observed_route(ENDPOINT).weights == {"2": 25, "1": 75})


def test_mirroring_is_seen_apart_from_the_weights(world: World):
    world.want(1, [world.release("1"), world.release("2")], [("1", 100)], mirror=(("2", 40),))
    eventually(lambda: world.router.observed_route(ENDPOINT).mirror == {"2": 40})
    assert world.router.observed_route(ENDPOINT).weights == {"1": 100}


@pytest.mark.parametrize("by", ["header", "cookie"])
def test_an_arm_is_seen_apart_from_the_weights(world: World, by: str):
    world.want(
        1,
        [world.release("1"), world.release("2")],
        [("1", 100)],
        preview=(by, "x-arm", "b", "2"),
        sticky=(by, "x-user"),
    )
    eventually(lambda: world.router.observed_route(ENDPOINT).preview == "2")
    assert world.router.observed_route(ENDPOINT).weights == {"1": 100}


def test_what_is_no_longer_wanted_goes(world: World):
    one, two = world.release("1"), world.release("2")
    world.want(1, [one, two], [("1", 100)])
    eventually(lambda: world.ready() == {"1": 1, "2": 1})
    world.want(2, [one], [("1", 100)])
    eventually(lambda: list(world.cluster.observe(ENDPOINT)) == ["1"])


def test_saying_the_same_again_changes_nothing(world: World):
    one = world.release("1")
    world.want(1, [one], [("1", 100)])
    eventually(lambda: world.ready() == {"1": 1})
    before = world.cluster.observe(ENDPOINT)
    for _ in range(5):
        world.want(1, [one], [("1", 100)])
    assert world.cluster.observe(ENDPOINT) == before
    assert world.cluster.observe(ENDPOINT)["1"].restarts == 0


def test_a_newer_generation_is_never_undone_by_an_older_one(world: World):
    one, two = world.release("1"), world.release("2")
    world.want(5, [one, two], [("1", 100)])
    eventually(lambda: world.router.observed_route(ENDPOINT).weights == {"1": 100})
    stale = DesiredWorld(ENDPOINT, "churn", 4, (one,), Route(split=(("2", 50), ("1", 50))))
    with pytest.raises(StaleWrite):
        world.cluster.apply(stale, world.artifacts)
    with pytest.raises(StaleWrite):
        world.router.set_route(stale)
    assert world.router.observed_route(ENDPOINT).weights == {"1": 100}


def test_a_world_that_is_gone_says_so_and_is_not_mistaken_for_an_empty_one(world: World):
    world.want(1, [world.release("1")], [("1", 100)])
    eventually(lambda: world.ready() == {"1": 1})
    world.cut()

    def unavailable(ask: Callable[[], object]) -> bool:
        try:
            ask()
        except WorldUnavailable as error:
            return bool(error.message)
        return False

    eventually(lambda: unavailable(lambda: world.cluster.observe(ENDPOINT)))
    eventually(lambda: unavailable(lambda: world.router.observed_route(ENDPOINT)))


def test_the_local_fleet_says_why_a_model_can_never_be_served(tmp_path: Path):
    with on_this_machine(tmp_path) as world:
        world.want(1, [world.release("1", artifact=json.dumps({"exit": 3, "says": "digest differs"}))], [])
        eventually(lambda: world.cluster.observe(ENDPOINT).get("1", ABSENT).failed)
        assert "digest differs" in world.cluster.observe(ENDPOINT)["1"].message
