from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from rollouts.errors import InvalidPlan
from rollouts.web.forms import ReasonForm, StartForm

VERSIONS = [SimpleNamespace(ref="2", number=2, label="boosted"), SimpleNamespace(ref="3", number=3, label="")]
TYPED = {
    "version": "2",
    "strategy": "canary",
    "steps": "5, 10 25%",
    "hold_seconds": "1.5",
    "analyse_seconds": "20",
    "interval_seconds": "5",
    "reason": "better recall",
}


def form(**changes: str) -> StartForm:
    return StartForm({**TYPED, **changes}, versions=VERSIONS)


def test_what_was_typed_becomes_the_strategys_parameters():
    typed = form()
    assert typed.is_valid(), typed.errors
    assert typed.parameters() == {
        "steps": [5, 10, 25],
        "hold_seconds": 1.5,
        "analyse_seconds": 20.0,
        "interval_seconds": 5.0,
    }


def test_a_step_that_is_no_number_reaches_the_strategy_which_can_name_it():
    typed = form(steps="5, many")
    assert typed.is_valid()
    assert typed.parameters()["steps"] == [5, "many"]


def test_a_fresh_form_has_the_strategys_defaults():
    fresh = StartForm(versions=VERSIONS)
    assert fresh.readable
    assert fresh.parameters() == {
        "steps": [5, 10, 25, 50],
        "hold_seconds": 60,
        "analyse_seconds": 300,
        "interval_seconds": 60,
    }


@pytest.mark.parametrize("strategy", ["canary", "shadow"])
def test_a_candidate_may_take_the_place_of_running_servers(strategy):
    typed, plain = form(strategy=strategy, no_surge="on"), form(strategy=strategy)
    assert typed.is_valid() and plain.is_valid()
    assert typed.parameters()["no_surge"] is True
    assert "no_surge" not in plain.parameters()
    typed.blame(InvalidPlan("there is no second server.", field="parameters.no_surge"))
    assert typed.errors["no_surge"] == ["There is no second server."]
    assert typed.errs_in_more


def test_gates_are_read_as_json_and_a_slip_is_located():
    assert form(gates='[{"kind": "error_rate"}]').is_valid()
    wrong = form(gates='[{"kind": }]')
    assert wrong.errors["gates"][0].startswith("Line 1, column 11: ")
    assert not wrong.readable
    assert wrong.errs_in_more


def test_the_form_shows_the_default_gates():
    assert json.loads(StartForm(versions=VERSIONS)["gates"].initial)[0]["kind"] == "error_rate"


@pytest.mark.parametrize(
    ("field", "shown_at", "text"),
    [
        ("parameters.steps[2]", "steps", "steps[2]: weights must rise. Sort them."),
        ("parameters.hold_seconds", "hold_seconds", "Weights must rise. Sort them."),
        ("parameters.gates[0].max", "gates", "gates[0].max: weights must rise. Sort them."),
        ("version", "version", "Weights must rise. Sort them."),
        (None, "__all__", "weights must rise. Sort them."),
        ("elsewhere", "__all__", "elsewhere: weights must rise. Sort them."),
    ],
)
def test_a_refusal_stands_next_to_its_field(field, shown_at, text):
    typed = form()
    typed.is_valid()
    typed.blame(InvalidPlan("weights must rise.", field=field, hint="Sort them."))
    assert dict(typed.errors)[shown_at][0] == text


def test_a_reason_is_required():
    empty = ReasonForm({"reason": "  "})
    assert empty.errors["reason"] == ["Say why: the reason is kept in the timeline and in the audit log."]
