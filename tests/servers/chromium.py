"""A headless Chromium from Debian's package, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
"""
"""A script for every page: what the content security policy forbade is in `window.violations`."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; skips without one, but fails where CI promises it."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        why = "no Chromium on this machine: `apt install chromium` runs the browser tests"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    return found


@contextmanager
def launched(chromium: str) -> Iterator[Browser]:
    """A running browser. While it runs, Playwright's event loop forbids Django the database in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()
