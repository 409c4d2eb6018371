"""A model whose weights lie in a file of their own: pushed as a folder, seen, released, and what it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from registry.tests import onnx_files
from tests.servers.waiting import ROOT, eventually
from tests.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.stack]
MODEL, ENDPOINT = "weighty", "weighty-folders"
CANARY = {
    "steps": [50],
    "hold_seconds": 1,
    "analyse_seconds": 3,
    "interval_seconds": 1,
    "gates": [{"kind": "error_rate", "name": "errors", "max": 0.5, "min_samples": 1}],
}


def exported(place: Path, weight: float) -> Path:
    """`y = weight · x`, exported as what is too large for one file is."""
    return onnx_files.save_apart(onnx_files.linear(1, weight=weight), place / "model.onnx")


def push(stack: Stack, folder: Path) -> None:
    """With the command line, as CI does."""
    token = stack.access["users"]["admin"]["token"]
    environment = {**os.environ, "SLIPWAY_URL": stack.url, "SLIPWAY_TOKEN": token}
    command = [sys.executable, "-m", "deploy.cli", "push", str(folder), "--model", MODEL, "--create"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def answers(stack: Stack, value: float) -> bool:
    """What the endpoint says to 2."""
    url = f"{stack.access['gateway_url']}/{ENDPOINT}/predict"
    try:
        answer = requests.post(url, json={"features": [[2.0]]}, timeout=10)
    except requests.RequestException:
        return False
    return bool(answer.ok and answer.json()["predictions"] == [value])


def test_a_folder_is_released_like_any_other_version(page: Page, stack: Stack, tmp_path: Path) -> None:
    for weight in (3.0, 5.0):
        push(stack, exported(tmp_path / f"weight-{weight}", weight))
    page.goto(f"{stack.url}/models/{MODEL}/versions/2/")
    expect(page.locator("main")).to_contain_text("weights.bin")
    assert stack.api("POST", "environments", {"name": "folders"}).status_code == 201
    body = {"name": ENDPOINT, "model": MODEL, "environment": "folders", "version": 1}
    made = stack.api("POST", "endpoints", body)
    assert made.status_code == 201, made.text
    eventually(lambda: answers(stack, 6.0), 60, "version 1 never answered")
    body = {"endpoint": ENDPOINT, "version": 2, "parameters": CANARY, "reason": "weights of their own"}
    started = stack.api("POST", "rollouts", body)
    assert started.status_code == 201, started.text
    rollout = started.json()["id"]

    def over() -> bool:
        answers(stack, 0.0)  # The gate wants to see requests.
        return not stack.api("GET", f"rollouts/{rollout}").json()["active"]

    eventually(over, 120, "the rollout did not end")
    assert stack.api("GET", f"rollouts/{rollout}").json()["phase"] == "succeeded"
    eventually(lambda: answers(stack, 10.0), 30, "version 2 does not answer")
