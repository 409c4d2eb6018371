"""A person releases a model in a real browser, against the whole stack."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Watch, sign_in
from tests.servers.waiting import eventually
from tests.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.stack]
GATES = '[{"kind": "error_rate", "name": "errors", "max": 0.5, "min_samples": 1}]'
SLOW = {"steps": [30], "hold_seconds": 600, "analyse_seconds": 5, "interval_seconds": 2, "gates": []}
VERSION_2 = re.compile(r"v2 +(\d+)")


@pytest.fixture
def under_way(stack: Stack, quiet_endpoint: str) -> int:
    """A rollout to version 2 that stays at 30 %."""
    parameters = {**SLOW, "gates": [{"kind": "error_rate", "name": "errors", "max": 0.5, "min_samples": 1}]}
    body = {"endpoint": quiet_endpoint, "version": 2, "parameters": parameters, "reason": "to be watched"}
    started = stack.api("POST", "rollouts", body)
    assert started.status_code == 201, started.text
    number: int = started.json()["id"]
    eventually(
        lambda: stack.api("GET", f"rollouts/{number}").json()["weight"]["observed"] == 30,
        60,
        "30 % never came",
    )
    return number


def test_a_wrong_password_is_answered_with_help_and_the_right_one_opens_the_overview(stack, context):
    page = context.new_page()
    page.goto(f"{stack.url}/endpoints/")
    expect(page).to_have_url(re.compile("/login"))
    page.get_by_label("Username").fill("engineer")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("correct username and password")
    page.get_by_label("Password").fill(stack.user("engineer")[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{stack.url}/endpoints/")


def test_a_release_is_started_in_the_form_watched_and_rolled_back_with_a_button(
    page: Page, stack: Stack, quiet_endpoint: str
):
    with stack.traffic(quiet_endpoint):
        start(page, stack, quiet_endpoint)
        watch_the_weight_move(page)
        charts_are_drawn(page)
        open_evidence_survives_a_refresh(page, stack)
        roll_back(page)
    answered = stack.versions_that_answer(quiet_endpoint, 100)
    assert answered == {"1": 100}


def start(page: Page, stack: Stack, endpoint: str) -> None:
    """Fills in the form; the preview follows what is typed."""
    page.goto(f"{stack.url}/rollouts/new?endpoint={endpoint}")
    page.get_by_label("Candidate").select_option("2")
    page.get_by_label("Steps in percent").fill("60, 20")
    expect(page.locator("#preview")).to_contain_text("weights must rise")
    page.get_by_label("Steps in percent").fill("20, 60")
    expect(page.locator("#preview")).to_contain_text("Send 60 % of the traffic to the candidate")
    page.get_by_label("Hold (seconds)").fill("20")
    page.get_by_label("Analyse (seconds)").fill("2")
    page.get_by_label("Interval (seconds)").fill("1")
    page.get_by_text("More settings").click()
    page.get_by_label("Gates (JSON)").fill(GATES)
    page.get_by_label("Reason").fill("A ridge on all measurements")
    page.get_by_role("button", name="Start rollout").click()
    expect(page).to_have_url(re.compile(r"/rollouts/\d+/$"))
    expect(page.get_by_role("heading", name="diabetes v1 → v2")).to_be_visible()


def watch_the_weight_move(page: Page) -> None:
    """The page shows each step by itself, first intended and then observed."""
    observed = page.locator("#status .split").nth(1)
    for percent in (20, 60):
        expect(observed).to_contain_text(f"v2 {percent} %", timeout=90_000)
    expect(page.locator(".stage[aria-current=step]")).to_contain_text("60 %")
    expect(page.locator("#timeline")).to_contain_text("send 60 % of the traffic")
    expect(page.get_by_role("rowheader", name="errors")).to_be_visible()


def charts_are_drawn(page: Page) -> None:
    """Axes, units, legend, marks of the steps and values under the pointer."""
    charts = page.locator("#charts svg.chart")
    expect(charts.nth(4)).to_be_visible()
    requests = charts.first
    expect(requests.locator(".series--candidate")).to_have_count(1)
    expect(requests.locator(".series--stable")).to_have_count(1)
    expect(requests.locator(".chart__unit")).to_have_text("requests per second")
    assert requests.locator(".chart__axis text").count() >= 3
    assert requests.locator(".chart__grid text").count() >= 3
    expect(requests.locator(".mark--step")).to_have_count(2)
    requests.hover()
    expect(requests.locator(".chart__hover")).to_contain_text("version 2 (candidate)")


def open_evidence_survives_a_refresh(page: Page, stack: Stack) -> None:
    """Somebody else pauses the rollout: the timeline is replaced, what the reader unfolded stays so."""
    page.locator("#timeline summary").first.click()
    number = page.url.rstrip("/").rsplit("/", 1)[1]
    assert stack.api("POST", f"rollouts/{number}/pause", {"reason": "Let me look"}).ok
    expect(page.locator("#timeline")).to_contain_text("Let me look", timeout=15_000)
    expect(page.locator("#timeline details[open]")).to_have_count(1)


def roll_back(page: Page) -> None:
    """The dialog says what will happen and insists on a reason."""
    page.get_by_role("link", name="Roll back").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Sends 100 % of traffic back to v1 at once and removes v2’s servers.")
    expect(dialog).to_contain_text("Needs no metrics and no approval.")
    reason = dialog.get_by_label("Reason")
    expect(reason).to_be_focused()
    dialog.get_by_role("button", name="Roll back to v1").click()
    expect(dialog).to_be_visible()
    reason.fill("The tail looks wrong")
    dialog.get_by_role("button", name="Roll back to v1").click()
    expect(page.locator("#status")).to_have_attribute("data-phase", "rolled_back", timeout=30_000)
    expect(page.locator("#timeline")).to_contain_text("The tail looks wrong")
    expect(page.locator("#status[hx-trigger], #controls[hx-trigger]")).to_have_count(0)
    expect(page.get_by_role("link", name="Roll back")).to_have_count(0)


def test_the_dialog_opens_and_closes_with_the_keyboard(page: Page, stack: Stack, under_way: int):
    page.goto(f"{stack.url}/rollouts/{under_way}/")
    page.get_by_role("link", name="Pause").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Keeps v2 at 30 % and v1 at 70 % until it is resumed.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="Pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()


def test_pausing_and_resuming_change_the_buttons_without_a_reload(page: Page, stack: Stack, under_way: int):
    page.goto(f"{stack.url}/rollouts/{under_way}/")
    for verb, title, phase in (
        ("Pause", "Pause the rollout", "paused"),
        ("Resume", "Resume the rollout", "progressing"),
    ):
        page.get_by_role("link", name=verb).click()
        page.get_by_role("dialog").get_by_label("Reason").fill("lunch")
        page.get_by_role("dialog").get_by_role("button", name=title).click()
        expect(page.locator("#status")).to_have_attribute("data-phase", phase)
        expect(page.get_by_role("link", name=verb)).to_have_count(0)


def test_without_javascript_the_same_rollback_is_a_page_with_a_form(
    browser: Browser, stack: Stack, under_way: int
):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, stack, "engineer")
    page.goto(f"{stack.url}/rollouts/{under_way}/")
    page.get_by_role("link", name="Roll back").click()
    expect(page.get_by_role("heading", name="Roll back to v1")).to_be_visible()
    page.get_by_label("Reason").fill("No script needed")
    page.get_by_role("button", name="Roll back to v1").click()
    expect(page).to_have_url(f"{stack.url}/rollouts/{under_way}/")
    eventually(
        lambda: stack.api("GET", f"rollouts/{under_way}").json()["phase"] == "rolled_back",
        60,
        "not rolled back",
    )
    context.close()


def test_a_lost_connection_is_shown_with_the_age_of_the_data_and_recovers(
    browser: Browser, stack: Stack, under_way: int
):
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, stack, "viewer")
    page.goto(f"{stack.url}/rollouts/{under_way}/")
    page.route("**/status", lambda route: route.abort())
    banner = page.locator("#connection")
    expect(banner).to_have_text(
        re.compile(r"Connection lost, showing data of \d\d:\d\d:\d\d"), timeout=15_000
    )
    page.unroute("**/status")
    expect(banner).to_be_hidden(timeout=15_000)
    context.close()


def test_when_the_session_ends_the_live_page_asks_to_sign_in(browser: Browser, stack: Stack, endpoint: str):
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, stack, "viewer")
    page.goto(f"{stack.url}/endpoints/{endpoint}/")
    context.clear_cookies()
    expect(page).to_have_url(f"{stack.url}/login?next=/endpoints/{endpoint}/", timeout=15_000)
    context.close()


@pytest.mark.parametrize("width", [390, 1024])
def test_no_page_scrolls_sideways(page: Page, stack: Stack, under_way: int, endpoint: str, width: int):
    page.set_viewport_size({"width": width, "height": 800})
    paths = ("/", "/endpoints/", f"/endpoints/{endpoint}/", "/rollouts/", f"/rollouts/{under_way}/")
    for path in (*paths, f"/rollouts/new?endpoint={endpoint}", f"/rollouts/{under_way}/abort", "/models/"):
        page.goto(f"{stack.url}{path}")
        page.wait_for_load_state("networkidle") if "rollouts" not in path else page.wait_for_timeout(500)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_loads_without_an_error_in_both_schemes(
    page: Page, stack: Stack, under_way: int, endpoint: str, scheme: str, watch: Watch
):
    page.emulate_media(color_scheme=scheme)
    paths = [
        "/",
        "/endpoints/",
        f"/endpoints/{endpoint}/",
        "/rollouts/",
        f"/rollouts/{under_way}/",
        "/rollouts/new",
    ]
    paths += ["/models/", "/models/diabetes/", "/models/diabetes/versions/1/"]
    for path in paths:
        response = page.goto(f"{stack.url}{path}")
        assert response and response.status == 200, path
        assert page.locator("h1").count() == 1, path
        assert page.locator("main").count() == 1, path
        assert not page.evaluate("window.violations"), path
