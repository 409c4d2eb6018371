"""A table scored from the pages, in a real browser: started, watched, its answers beside the baseline."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.stack]
# A part is a file of its own; so many keep the scorer busy for some seconds.
PARTS, ROWS = 1_000, 20


@pytest.fixture
def table(stack: Stack) -> Path:
    """The demo's held-out rows, many times over, as a NumPy archive."""
    (tensor,) = stack.api("GET", "models/diabetes/versions/1").json()["signature"]["inputs"]
    rows = np.asarray(stack.rows("diabetes"), np.float32)
    path = stack.home / "tables" / "patients" / "rows.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{tensor["name"]: np.resize(rows, (PARTS * ROWS, rows.shape[1]))})
    return path


def test_a_table_is_scored_from_the_version_s_page(
    page: Page, stack: Stack, endpoint: str, table: Path
) -> None:
    page.goto(f"{stack.url}/models/diabetes/versions/1/")
    page.get_by_role("link", name="Score a table").click()
    page.get_by_label("Source").fill("patients")
    page.get_by_label("Target").fill("scores")
    page.get_by_label("Rows a chunk").fill(str(ROWS))
    page.get_by_role("button", name="Start scoring").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Scoring job")
    job = page.locator("#scoring")
    # Told without a reload, while it is under way.
    expect(job).to_contain_text(re.compile(r"[1-9]\d? %, file 1 of 1: \d+ rows in \d+ parts"), timeout=60_000)
    expect(job.get_by_role("button", name="Cancel")).to_be_visible()
    expect(job).to_contain_text(f"100 %, file 1 of 1: {PARTS * ROWS} rows in {PARTS} parts", timeout=120_000)
    against = job.locator("section", has_text="Answers against the baseline")
    expect(against).to_be_visible()
    # Rows like those that the baseline is of: nothing has drifted.
    expect(against.locator(".badge").first).to_have_text("stable")
    expect(against.locator("tbody tr")).to_contain_text(["stable"])
    expect(job.get_by_role("button")).to_have_count(0)
    result = json.loads((stack.home / "tables" / "scores" / "_result.json").read_text())
    assert (result["rows"], result["state"]) == (PARTS * ROWS, "stable")
    page.goto(f"{stack.url}/models/diabetes/versions/1/")
    expect(page.locator("#scorings")).to_contain_text(f"100 %, {PARTS * ROWS} rows, stable")
