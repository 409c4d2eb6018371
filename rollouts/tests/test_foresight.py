"""What the gates of a plan can never decide is said before anybody meets the candidate."""

import pytest

from registry.models import Version
from rollouts.domain.foresight import undecidable
from rollouts.domain.strategies import compile_plan
from rollouts.tests.web_cast import sign_in

STABLE_GATE = {"kind": "distribution", "name": "output"}
DRIFT = {"kind": "input_drift", "min_samples": 100}


def profile(rows):
    item = {"name": "wine_class", "kind": "categorical", "categories": ["a", "b"], "counts": [rows - 9, 9]}
    return {"outputs": [item], "inputs": [{**item, "name": "colour"}]}


def said(strategy, rows, **parameters):
    plan = compile_plan(strategy, parameters, replicas=1)
    return " ".join(undecidable(plan, profile(rows) if rows else None))


def test_a_baseline_that_is_too_small_for_blue_green_is_told_with_the_remedy():
    small = said("blue_green", 89)
    assert "“output” can never pass: the version's baseline of wine_class has 89 values" in small
    assert "asks for 200; register the version with a larger reference set" in small
    assert "has no baseline of its outputs" in said("blue_green", 0)
    assert said("blue_green", 200) == ""


@pytest.mark.parametrize(
    ("strategy", "gate", "rows", "words"),
    [
        ("blue_green", STABLE_GATE, 500, "analyses while the candidate has all traffic"),
        ("canary", STABLE_GATE, 0, ""),
        ("canary", DRIFT, 99, "baseline of its inputs has 99 values"),
        ("canary", DRIFT, 100, ""),
        ("canary", {**DRIFT, "features": ["age"]}, 500, "no baseline of age"),
        ("instant", None, 0, ""),
    ],
)
def test_gates_that_lack_what_they_compare_with_are_told(strategy, gate, rows, words):
    told = said(strategy, rows, **({"gates": [gate]} if gate else {}))
    assert (words in told) if words else told == ""


def test_rest_and_the_form_warn_of_them(client, endpoint, versions):
    Version._base_manager.filter(pk=versions[1].pk).update(profile=profile(89))
    sign_in(client, "engineer")
    body = {"endpoint": endpoint.name, "strategy": "blue_green", "version": 2, "reason": "try"}
    preview = client.post("/api/v1/rollouts/preview", body, "application/json").json()
    page = client.get("/rollouts/new", body).content.decode()
    started = client.post("/api/v1/rollouts", body, "application/json").json()
    assert started["warnings"] == preview["warnings"] and "has 89 values" in preview["warnings"][0]
    assert "has 89 values" in page
