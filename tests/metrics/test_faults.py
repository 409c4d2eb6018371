"""Rollouts over a real Prometheus that is killed, stalled, or lies in the middle of an analysis.

Whatever it does the rollout is held where it is, its timeline says why, and it goes on when Prometheus is
back; it is never promoted nor rolled back for that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlencode

import pytest
from django.utils import timezone

from monitoring.adapters.prometheus import PrometheusSource
from monitoring.adapters.prometheus.client import Access
from rollouts import reconcile, services
from rollouts.conftest import author, endpoint, ports, versions  # noqa: F401 - fixtures
from rollouts.domain.phases import Phase
from rollouts.models import Endpoint, Look, Rollout, Transition
from rollouts.reconcile import Ports
from tests.metrics.fleet import Server
from tests.servers.fixtures import entered
from tests.servers.pages import Answer, Page, Proxy
from tests.servers.prometheus import Prometheus

pytestmark = [pytest.mark.stack, pytest.mark.django_db]
EVERY = 0.25
PLAN = {
    "steps": [50], "hold_seconds": 0, "analyse_seconds": 1.5, "interval_seconds": 1, "deadline_seconds": 600,
    "gates": [{"kind": "error_rate", "min_samples": 20}, {"kind": "latency", "min_samples": 20}],
}  # fmt: skip
DAY = 86_400
Lie = Callable[[Proxy, str, bytes, Answer], Answer]


@dataclass
class Scene:
    """Two versions' servers, the Prometheus that scrapes them, and the proxy that Slipway asks."""

    stable: Server
    candidate: Server
    prometheus: Prometheus
    proxy: Proxy

    def source(self) -> PrometheusSource:
        access = Access(self.proxy.url, timeout=0.7, retries=0, rest=0.1, longest_rest=0.3)
        return PrometheusSource(access, scrape_interval=EVERY, stalled_after=2.0)


@pytest.fixture(scope="module")
def scene(request: pytest.FixtureRequest) -> Scene:
    servers = [Server("churn-production", version, 60.0, 0.001) for version in ("1", "2")]
    pages = [entered(request, Page(server.text)) for server in servers]
    prometheus = entered(request, Prometheus([{"targets": [page.address for page in pages]}], interval=EVERY))
    prometheus.until_scraping()
    return Scene(*servers, prometheus, entered(request, Proxy(prometheus.url)))


@dataclass
class Watch:
    """One rollout, ticked in real time."""

    endpoint: Endpoint
    ports: Ports
    rollout: Rollout

    def tick_until(self, true: Callable[[Rollout], bool], seconds: float) -> Rollout:
        deadline = time.monotonic() + seconds
        while not true(self.tick()):
            assert time.monotonic() < deadline, f"{self.rollout.phase}: {self.rollout.reason}"
        return self.rollout

    def tick(self) -> Rollout:
        reconcile.tick(self.endpoint.pk, self.ports, timezone.now())
        self.rollout.refresh_from_db()
        time.sleep(0.05)
        return self.rollout

    def held(self, seconds: float) -> None:
        """Ticks so long; the rollout must be held at its share at the end, and never have moved on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.tick().phase in {"progressing", "holding"}, self.rollout.reason
        assert self.rollout.phase == "holding"
        assert dict(self.ports.router.observed_route(self.endpoint.name).weights) == {"1": 50, "2": 50}


@pytest.fixture
def watch(endpoint, ports, versions, author, scene) -> Iterator[Watch]:  # noqa: F811
    ports = replace(ports, metrics=scene.source())
    for _ in range(2):
        reconcile.tick(endpoint.pk, ports, timezone.now())
    rollout = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters=PLAN, actor=author, reason="try",
    )  # fmt: skip
    made = Watch(endpoint, ports, rollout)
    made.tick_until(lambda row: row.exposed_at is not None, 5)
    yield made
    scene.proxy.lie = None


def rows_replaced(change: Callable[[dict], object]) -> Lie:
    """A lie that keeps the form of the answer and changes every row but the heartbeat."""

    def lie(proxy: Proxy, path: str, body: bytes, honest: Answer) -> Answer:
        document = json.loads(honest[1])
        for row in document["data"]["result"]:
            if "slipway_heartbeat" not in row["metric"]:
                change(row)
        return 200, json.dumps(document).encode()

    return lie


def of_the_past(seconds: float) -> Lie:
    """Answers as of then, whatever moment is asked for."""

    def lie(proxy: Proxy, path: str, body: bytes, honest: Answer) -> Answer:
        form = {key: value[0] for key, value in parse_qs(body.decode()).items()}
        form["time"] = str(float(form["time"]) - seconds)
        return proxy.ask(path, urlencode(form).encode())

    return lie


LIES = {
    "not a number": rows_replaced(lambda row: row["value"].__setitem__(1, "NaN")),
    "infinite": rows_replaced(lambda row: row["value"].__setitem__(1, "+Inf")),
    "negative": rows_replaced(lambda row: row["value"].__setitem__(1, "-5")),
    "of yesterday": rows_replaced(lambda row: row["value"].__setitem__(0, row["value"][0] - DAY)),
    "frozen in the past": of_the_past(10),
    "empty": lambda proxy, path, body, honest: (200, b'{"status": "success", "data": {"result": []}}'),
    "broken": lambda proxy, path, body, honest: (500, b"internal server error"),
    "garbage": lambda proxy, path, body, honest: (200, b"<html>Please log in</html>"),
    "cut off": lambda proxy, path, body, honest: (200, honest[1][: len(honest[1]) // 2]),
}


@pytest.mark.parametrize("name", LIES)
def test_a_prometheus_that_lies_holds_the_rollout_until_it_tells_the_truth(watch, scene, name):
    scene.proxy.lie = LIES[name]
    watch.held(2.6)
    assert_told(watch)
    scene.proxy.lie = None
    assert watch.tick_until(lambda row: row.phase == "succeeded", 10)


@pytest.mark.parametrize("fault", ["killed", "stalled"])
def test_a_prometheus_that_is_gone_holds_the_rollout_until_it_is_back(watch, scene, fault):
    prometheus = scene.prometheus
    prometheus.kill() if fault == "killed" else prometheus.stall()
    try:
        watch.held(4.0)
        assert_told(watch)
    finally:
        prometheus.start() if fault == "killed" else prometheus.go_on()
    assert watch.tick_until(lambda row: row.phase == "succeeded", 20)


def test_a_bad_candidate_is_rolled_back_as_soon_as_prometheus_says_so_and_not_before(watch, scene):
    scene.candidate.restart()
    scene.candidate.bad = 0.5
    scene.prometheus.stall()
    try:
        watch.held(3.0)
    finally:
        scene.prometheus.go_on()
    watch.tick_until(lambda row: row.phase == "rolled_back", 15)
    failed = Look.objects.filter(rollout=watch.rollout, verdict="fail").get()
    assert "error rate" in failed.judgement["reason"]
    scene.candidate.bad = 0.001
    scene.candidate.restart()


def assert_told(watch: Watch) -> None:
    """The rollout's page and its timeline say what is the matter; no look ever said pass or fail."""
    looks = set(Look.objects.filter(rollout=watch.rollout).values_list("verdict", flat=True))
    assert looks & {"error", "no_data"} and not looks & {"fail"}
    held = Transition.objects.filter(rollout=watch.rollout, to_phase=Phase.HOLDING.value).latest("number")
    for said in (held.reason, watch.rollout.reason):
        assert "did not answer" in said or "so far; " in said, said
