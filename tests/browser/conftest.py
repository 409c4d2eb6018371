"""One stack and one Chromium for all browser tests; every page is watched for errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.servers.chromium import LISTEN, launched
from tests.servers.waiting import eventually
from tests.stack import Process, Stack

ENDPOINT = "diabetes-browser"


@pytest.fixture(scope="package")
def stack(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo, running; it ends with the last browser test, since others need the cores."""
    with Process(tmp_path_factory.mktemp("browser") / "home") as running:
        yield running


@pytest.fixture(scope="package")
def endpoint(stack: Stack) -> str:
    """An endpoint of our own that serves version 1, beside those that the demo's director plays with."""
    for path in ("models/diabetes/versions/1", "models/diabetes/versions/2"):
        eventually(lambda path=path: stack.api("GET", path).ok, 120, f"the demo did not register {path}")
    assert stack.api("POST", "environments", {"name": "browser"}).status_code == 201
    made = stack.api(
        "POST",
        "endpoints",
        {"name": ENDPOINT, "model": "diabetes", "environment": "browser", "version": 1, "replicas": 1},
    )
    assert made.status_code == 201, made.text
    eventually(lambda: stack.versions_that_answer(ENDPOINT, 1) == {"1": 1}, 60, "version 1 never answered")
    return ENDPOINT


@pytest.fixture
def quiet_endpoint(stack: Stack, endpoint: str) -> Iterator[str]:
    """The endpoint without an active rollout, before and after."""

    def settled() -> bool:
        return not stack.api("GET", f"rollouts?endpoint={endpoint}&phase=active").json()["items"]

    def settle() -> None:
        if not settled():
            stack.api("POST", f"endpoints/{endpoint}/rollback", {"reason": "the next test"})
            eventually(settled, 60, "the rollout of an earlier test does not end")

    settle()
    yield endpoint
    settle()


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """Closed with the last browser test: Playwright's event loop would forbid database access to later tests."""
    with launched(chromium) as browser:
        yield browser


@dataclass
class Watch:
    """What went wrong in the pages of a test."""

    problems: list[str] = field(default_factory=list)

    def page(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on(
            "console", lambda m: self.problems.append(f"{page.url}: {m.text}") if m.type == "error" else None
        )


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def context(browser: Browser, watch: Watch) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    context.add_init_script(LISTEN)
    context.on("page", watch.page)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, stack: Stack, watch: Watch) -> Iterator[Page]:
    """A page of a signed-in release manager; the test fails on any error in the console and any CSP violation."""
    page = context.new_page()
    sign_in(page, stack, "release_manager")
    yield page
    assert not page.evaluate("window.violations")
    assert not watch.problems


def sign_in(page: Page, stack: Stack, role: str) -> None:
    """Through the form, as people do."""
    name, password = stack.user(role)
    page.goto(f"{stack.url}/login")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()
