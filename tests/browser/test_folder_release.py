"""A model whose weights lie in a file of their own: pushed as a folder, seen, released, and what it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import requests
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import Page, expect

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


def exported(place: Path, slope: float) -> Path:
    """`y = slope · x`, exported as what is too large for one file is."""
    place.mkdir(parents=True)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1]) for name in "xy")
    weights = numpy_helper.from_array(np.array([[slope]], np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "linear", [x], [y], [weights])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(
        proto, str(place / "model.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    return place


def push(stack: Stack, folder: Path) -> dict[str, Any]:
    """With the command line, as CI does."""
    environment = {**os.environ, "SLIPWAY_URL": stack.url}
    environment["SLIPWAY_TOKEN"] = stack.access["users"]["admin"]["token"]
    command = [
        sys.executable,
        "-m",
        "deploy.cli",
        "push",
        str(folder),
        "--model",
        MODEL,
        "--create",
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def answers(stack: Stack, value: float) -> Any:
    """What the endpoint says to 2."""
    url = f"{stack.access['gateway_url']}/{ENDPOINT}/predict"
    try:
        answer = requests.post(url, json={"features": [[2.0]]}, timeout=10)
    except requests.RequestException:
        return False
    return answer.ok and answer.json()["predictions"] == [value]


def test_a_folder_is_released_like_any_other_version(page: Page, stack: Stack, tmp_path: Path) -> None:
    for slope in (3.0, 5.0):
        push(stack, exported(tmp_path / f"slope-{slope}", slope))
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
