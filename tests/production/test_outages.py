"""PostgreSQL, Redis and Prometheus go away under light load; pages say so and all recovers by itself."""

from __future__ import annotations

import os
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.production.plant import Plant, pause, repeating
from tests.production.test_stack import phase, sign_in, start
from tests.servers.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.stack]
# Of PostgreSQL, Redis, Prometheus, in seconds; the full ones when asked for.
OUTAGES = (30.0, 60.0, 60.0) if os.environ.get("SLIPWAY_FULL_OUTAGES") else (4.0, 4.0, 5.0)


def test_outages_are_told_and_survived_without_a_hand(plant: Plant, endpoint: str, browser: Browser) -> None:
    postgres, redis, prometheus = OUTAGES
    before = restarts(plant)
    # A rollout that lives through both outages, however long they are; the next one through the third.
    first = start(plant, endpoint, 3, hold=postgres + redis)
    page = sign_in(browser, plant, "admin")
    written: list[str] = []
    with plant.traffic(endpoint, 0.2) as statuses, repeating(lambda: _write(plant, written), 0.5) as writes:
        approve(plant, first)
        with plant.without("postgres"):
            pause(postgres / 2)
            assert plant.ready()["code"] == 503
            answer = requests.get(f"{plant.url}/models/", cookies=_cookies(page), timeout=30)
            assert answer.status_code == 503 and "The database does not answer" in answer.text
            pause(postgres / 2)
        eventually(lambda: plant.ready()["status"] == "ok", 90, plant.why)
        with plant.without("redis"):
            pause(redis / 2)
            ready = plant.ready()
            assert (ready["code"], ready["queue"]["ok"]) == (200, False)
            page.goto(f"{plant.url}/rollouts/{first}/")
            expect(page.locator(".trouble")).to_contain_text("The queue does not answer", timeout=15_000)
            assert phase(plant, first) not in {"succeeded", "rolled_back"}, "it was to live through this"
            pause(redis / 2)
        eventually(lambda: plant.ready()["status"] == "ok", 90, plant.why)
        eventually(lambda: phase(plant, first) == "succeeded", 120 + postgres + redis, plant.why)
        second = start(plant, endpoint, 2, hold=prometheus)
        approve(plant, second)
        with plant.without("prometheus"):
            pause(prometheus)
            eventually(lambda: "error" in verdicts(plant, second), 60, plant.why)
            charts = requests.get(f"{plant.url}/rollouts/{second}/charts", cookies=_cookies(page), timeout=30)
            assert "The charts return by themselves when it answers" in charts.text
        page.goto(f"{plant.url}/rollouts/{second}/")
        if phase(plant, second) == "paused":
            pytest.fail("an outage of the metrics needed a hand")
        eventually(lambda: phase(plant, second) == "succeeded", 180 + prometheus, plant.why)
    page.close()
    assert set(statuses) == {200}, statuses
    assert writes[201] and not set(writes) - {201, 503, 0}, writes
    lost = [name for name in written if plant.api("GET", f"models/{name}").status_code != 200]
    assert not lost
    assert "The chain is whole" in plant.manage("verify_audit")
    after = restarts(plant)
    assert {name for name in after if after[name] > before[name]} == {"postgres", "redis", "prometheus"}, (
        after
    )


def restarts(plant: Plant) -> dict[str, int]:
    """How often each service was started anew."""
    return {name: service["restarts"] for name, service in plant.run()["services"].items()}


def approve(plant: Plant, rollout: int) -> None:
    plant.must("POST", f"rollouts/{rollout}/approve", "release_manager", json={"comment": "go"})


def verdicts(plant: Plant, rollout: int) -> set[str]:
    """What the looks so far said."""
    return {look["verdict"] for look in plant.must("GET", f"rollouts/{rollout}/looks")["items"]}


def _write(plant: Plant, written: list[str]) -> int:
    """One change over the API; its status. What was answered with 201 must never be lost."""
    name = f"light-load-{len(written)}-{os.urandom(3).hex()}"
    try:
        status = plant.api("POST", "models", "engineer", json={"name": name}).status_code
    except requests.RequestException:
        return 0
    if status == 201:
        written.append(name)
    return status


def _cookies(page: Any) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
