"""A release on the production stack, through the API and the browser."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.production.plant import Plant
from tests.servers.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.stack]
GATE = {"kind": "error_rate", "name": "errors", "max": 0.05, "min_samples": 5}


def start(plant: Plant, endpoint: str, version: int, hold: float) -> int:
    """A canary by an engineer; its number."""
    parameters = {
        "steps": [50], "hold_seconds": hold, "analyse_seconds": 2, "interval_seconds": 1, "gates": [GATE],
    }  # fmt: skip
    document = {
        "endpoint": endpoint,
        "version": version,
        "parameters": parameters,
        "reason": "better on paper",
    }
    rollout = int(plant.must("POST", "rollouts", "engineer", json=document)["id"])
    eventually(lambda: phase(plant, rollout) == "awaiting_approval", 60, plant.why)
    return rollout


def phase(plant: Plant, rollout: int) -> str:
    return str(plant.must("GET", f"rollouts/{rollout}")["phase"])


def sign_in(browser: Browser, plant: Plant, role: str) -> Any:
    page = browser.new_page()
    user, password = plant.user(role)
    page.goto(f"{plant.url}/login")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".topbar")).to_contain_text(user)
    return page


def test_a_version_is_registered_approved_released_and_rolled_back(
    plant: Plant, endpoint: str, browser: Browser
) -> None:
    rollout = start(plant, endpoint, 2, hold=1)
    page = sign_in(browser, plant, "release_manager")
    page.goto(f"{plant.url}/rollouts/{rollout}/")
    page.get_by_role("link", name="Approve").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("the numbers are fine")
    dialog.get_by_role("button", name="Approve v2").click()
    with plant.traffic(endpoint) as statuses:
        expect(page.locator("#status")).to_have_attribute("data-phase", "succeeded", timeout=90_000)
    assert set(statuses) == {200}
    assert plant.answers(endpoint, 2)
    plant.must(
        "POST", f"endpoints/{endpoint}/rollback", "release_manager", json={"reason": "second thoughts"}
    )
    eventually(lambda: plant.answers(endpoint, 1), 60, plant.why)
    page.goto(f"{plant.url}/endpoints/{endpoint}/")
    expect(page.locator("main")).to_contain_text("v1")
    page.close()
    assert phase(plant, rollout) == "succeeded"


def test_prometheus_knows_what_web_workers_and_the_dispatcher_measure(plant: Plant, endpoint: str) -> None:
    def value(query: str) -> float:
        url = f"{plant.environment['SLIPWAY_PROMETHEUS_URL']}/api/v1/query"
        found = requests.get(url, params={"query": query}, timeout=10).json()["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    eventually(lambda: value('count(up{job="slipway-processes"} == 1)') == 3, 60, plant.why)
    for series in ("request", "task", "tick_round"):
        query = f"sum(slipway_{series}_duration_seconds_count)"
        eventually(lambda query=query: value(query) > 0, 60, plant.why)  # type: ignore[misc]
