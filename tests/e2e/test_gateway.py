"""The split as users meet it: requests through a gateway that really routes, counted by who answered them.

Skipped for a router without one: SLIPWAY_E2E_ISTIO_URL, SLIPWAY_E2E_GATEWAY_URL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from rollouts import reconcile, services
from rollouts.adapters.kubernetes import GatewayApiRouter, IstioRouter
from rollouts.models import Endpoint
from tests.e2e.doorway import GATEWAY_URL, HOST, ISTIO_GATEWAY, ISTIO_URL, Door
from tests.e2e.live import ADA, Live
from tests.e2e.place import GATEWAY, gateway_at, until
from tests.e2e.test_rollouts import begin

pytestmark = pytest.mark.django_db
REQUESTS = 400
# Four standard deviations of a share of 25 % in so many requests: a true split fails once in 16,000 runs.
TOLERANCE = 4 * (0.25 * 0.75 / REQUESTS) ** 0.5


@dataclass
class Behind:
    """An endpoint and its door."""

    live: Live
    door: Door


@pytest.fixture(params=[GatewayApiRouter, IstioRouter])
def behind(request, place, controller, db, monkeypatch) -> Iterator[Behind]:
    istio = request.param is IstioRouter
    url = ISTIO_URL if istio else GATEWAY_URL
    if not url:
        missing = "SLIPWAY_E2E_ISTIO_URL" if istio else "SLIPWAY_E2E_GATEWAY_URL"
        pytest.skip(f"{missing} is the address of no gateway that routes")
    gateway = gateway_at(ISTIO_GATEWAY if istio else GATEWAY)
    live = begin(place, request.param, place.target(host=HOST, gateway=gateway))
    monkeypatch.setattr(reconcile, "judge", live.judged)
    live.serving()
    door = Door(url, live.endpoint.name, live.endpoint.model.name)
    until(lambda: door.ask() == ("1", 200), seconds=30)
    yield Behind(live, door)
    live.remove()


def counted(live: Live, version: str) -> float:
    """The predictions that the servers of a version say they made."""
    total = 0.0
    for pod in live.place.pods(live.endpoint.name, version):
        text = live.place.call("GET", f"/pods/{pod['metadata']['name']}:8080/proxy/metrics")
        for family in text_string_to_metric_families(text):
            total += sum(s.value for s in family.samples if s.name == "model_predictions_total")
    return total


def test_a_quarter_of_the_users_meet_the_candidate_when_a_quarter_should(behind):
    live, door = behind.live, behind.door
    live.start(2, steps=[25], hold_seconds=600, deadline_seconds=1200)
    live.until(lambda: live.weights() == {"2": 25, "1": 75})
    until(lambda: door.share("2", 20) > 0, seconds=30)
    assert door.share("2", REQUESTS) == pytest.approx(0.25, abs=TOLERANCE)
    assert {status for _, status in door.answers} == {200}
    services.abort(rollout=live.newest(), actor=ADA, reason="seen")
    live.until(lambda: live.newest().finished_at is not None)
    until(lambda: door.share("1", 50) == 1, seconds=30)


def test_copies_reach_the_candidate_and_no_user_does(behind):
    live, door = behind.live, behind.door
    live.start(2, "shadow", hold_seconds=None, retire_after_seconds=None, mirror_percent=50, analyse_seconds=600, deadline_seconds=1200)  # fmt: skip
    live.until(lambda: live.endpoint.observed.get("mirror") == {"2": 50})
    until(lambda: door.ask() and counted(live, "2") > 0, seconds=30)
    before = counted(live, "2")
    assert door.share("1", REQUESTS) == 1
    until(lambda: counted(live, "2") - before == pytest.approx(REQUESTS / 2, abs=4 * (REQUESTS / 4) ** 0.5))
    services.abort(rollout=live.newest(), actor=ADA, reason="seen")
    live.until(lambda: live.newest().finished_at is not None)


def test_testers_with_the_header_meet_the_new_colour_and_nobody_else(behind):
    live, door = behind.live, behind.door
    header, value = "x-tester", "yes"
    live.start(
        2, "blue_green", hold_seconds=None, preview_seconds=600, deadline_seconds=1200,
        preview_header=header, preview_value=value,
    )  # fmt: skip
    live.until(lambda: live.ports.router.observed_route(live.endpoint.name).preview == "2")
    until(lambda: door.ask(**{header: value}) == ("2", 200), seconds=30)
    assert {door.ask(**{header: value}) for _ in range(50)} == {("2", 200)}
    assert {door.ask() for _ in range(50)} == {("1", 200)}
    services.abort(rollout=live.newest(), actor=ADA, reason="seen")
    live.until(lambda: live.newest().finished_at is not None)


def test_a_client_stays_with_the_version_that_it_met_first(behind):
    live, door = behind.live, behind.door
    live.start(
        2, "ab", steps=None, hold_seconds=None, analyse_seconds=None, gates=None, key={"cookie": "uid"},
        percent=50, experiment_seconds=1200, deadline_seconds=1200, outcome="sales",
    )  # fmt: skip
    live.until(lambda: live.weights() == {"2": 50, "1": 50})
    kept: dict[str, str] = {}
    until(lambda: kept.update({door.ask()[0]: door.cookie}) or set(kept) == {"1", "2"}, seconds=30)
    for version, cookie in kept.items():
        assert {door.ask(Cookie=f"a=b; {cookie}") for _ in range(30)} == {(version, 200)}
    services.abort(rollout=live.newest(), actor=ADA, reason="seen")
    live.until(lambda: live.newest().finished_at is not None)
    # What the cookie said is over with the experiment.
    until(lambda: {door.ask(Cookie=kept["2"]) for _ in range(10)} == {("1", 200)}, seconds=30)


def test_a_release_goes_all_the_way_without_one_failed_answer(behind):
    live, door = behind.live, behind.door
    with door.busy():
        live.start(2)
        live.ends("succeeded")
        # The version before stays warm for the environment's time; now that is over, and its servers drain.
        Endpoint.objects.filter(pk=live.endpoint.pk).update(previous_until=timezone.now())
        assert reconcile.retire_previous(timezone.now()) == 1
        live.alone("2")
        until(lambda: door.ask() == ("2", 200), seconds=30)
    assert {status for _, status in door.answers} == {200}, door.answers
    assert {by for by, _ in door.answers} == {"1", "2"}
