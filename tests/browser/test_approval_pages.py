"""A second person approves or refuses in a real browser, with the evidence on the page; the author cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import sign_in
from tests.servers.waiting import eventually
from tests.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.stack]
POLICY = {"approvals": [{"before": "start", "count": 1, "group": "release_manager", "seconds": 600}]}
PARAMETERS = {
    "steps": [30],
    "hold_seconds": 600,
    "analyse_seconds": 5,
    "gates": [{"kind": "error_rate", "name": "errors", "max": 0.5, "min_samples": 1}],
}


@pytest.fixture
def asked(stack: Stack, quiet_endpoint: str) -> Iterator[int]:
    """A rollout that its author, the admin, has started and that waits for somebody else."""

    def set_policy(policy: dict[str, object]) -> None:
        body = {"policy": policy, "reason": "a test of approvals"}
        assert stack.api("PUT", "environments/browser/policy", body).ok

    set_policy(POLICY)
    body = {"endpoint": quiet_endpoint, "version": 2, "parameters": PARAMETERS, "reason": "better on paper"}
    number: int = stack.api("POST", "rollouts", body).json()["id"]
    eventually(lambda: phase(stack, number) == "awaiting_approval", 30, "nobody was asked")
    yield number
    set_policy({})


def phase(stack: Stack, number: int) -> str:
    return str(stack.api("GET", f"rollouts/{number}").json()["phase"])


def answer(page: Page, link: str, title: str, comment: str) -> None:
    page.get_by_role("link", name=link).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(title)
    dialog.get_by_role("textbox").fill(comment)
    dialog.get_by_role("button", name=title).click()


def test_a_second_person_approves_and_the_author_cannot(
    page: Page, browser: Browser, stack: Stack, asked: int
):
    theirs = browser.new_context()
    author = theirs.new_page()
    sign_in(author, stack, "admin")
    author.goto(f"{stack.url}/rollouts/{asked}/")
    expect(author.locator("#approval")).to_contain_text("somebody else must approve it")
    expect(author.get_by_role("link", name="Approve")).to_have_count(0)
    expect(author.get_by_role("link", name="Refuse")).to_have_count(0)
    page.goto(f"{stack.url}/rollouts/{asked}/")
    card = page.locator("#approval")
    expect(card).to_contain_text("0 of 1 approval by a release manager")
    expect(card).to_contain_text("Bound to the artifact")
    answer(page, "Approve", "Approve v2", "the numbers are fine")
    expect(page.locator("#status")).not_to_have_attribute("data-phase", "awaiting_approval", timeout=30_000)
    expect(card).to_contain_text("the numbers are fine")
    expect(page.locator("#timeline")).to_contain_text("pproved by release-manager")
    expect(author.locator("#approval")).to_contain_text("release-manager", timeout=15_000)
    theirs.close()


def test_a_refusal_needs_a_reason_and_ends_the_rollout(page: Page, stack: Stack, asked: int):
    page.goto(f"{stack.url}/rollouts/{asked}/")
    page.get_by_role("link", name="Refuse").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("v1 keeps 100 % of traffic; nobody has been given v2.")
    dialog.get_by_role("button", name="Refuse v2").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("textbox").fill("trained on last year's data")
    dialog.get_by_role("button", name="Refuse v2").click()
    expect(page.locator("#status")).to_have_attribute("data-phase", "cancelled", timeout=30_000)
    expect(page.locator("#timeline")).to_contain_text(re.compile("efused by release-manager: trained on"))
    expect(page.locator("#approval")).to_contain_text("Refused")
