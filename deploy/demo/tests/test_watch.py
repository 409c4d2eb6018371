"""What the check makes of what it sees from outside."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import tally
from deploy.demo.api import Unreachable
from deploy.demo.check import Check, Failed, _expected, _summary, _verdict
from deploy.demo.outcome import Outcome
from deploy.demo.process import DemoProcess
from deploy.demo.tally import EndpointTally
from deploy.demo.watch import Timeline, Weights, outcome

FAILED_GATE = {"gates": [{"kind": "error_rate", "name": "errors", "verdict": "fail"}]}


def move(number: int, source: str, target: str, weight: int, evidence: dict | None = None) -> dict:
    return {
        "number": number,
        "from_phase": source,
        "to_phase": target,
        "step": 1,
        "weight": weight,
        "actor": "slipway",
        "reason": "why",
        "evidence": evidence,
    }


class Rollouts:
    """The two lists that a timeline reads."""

    def __init__(self) -> None:
        self.phase, self.active, self.moves, self.down = (
            "progressing",
            True,
            [move(1, "", "pending", 0)],
            False,
        )

    def items(self, path: str, cursor: str, **query: Any) -> Iterator[dict]:
        if self.down:
            raise Unreachable("no")
        if path == "rollouts":
            yield {
                "id": 4,
                "endpoint": "e",
                "model": "m",
                "stable": 1,
                "candidate": 3,
                "phase": self.phase,
                "active": self.active,
            }
        else:
            yield from (item for item in self.moves if item["number"] > query["after"])


@pytest.fixture
def api() -> Rollouts:
    return Rollouts()


@pytest.fixture
def timeline(api: Rollouts) -> Timeline:
    lines: list[str] = []
    line = Timeline(api, lines.append)  # type: ignore[arg-type]
    line.lines = lines  # type: ignore[attr-defined]
    return line


def test_each_transition_is_told_once_with_all_that_matters(timeline, api) -> None:
    timeline.look()
    timeline.look()
    api.moves.append(move(2, "pending", "progressing", 5))
    timeline.look()
    assert timeline.lines == [
        "rollout 4 m v1→v3:  → pending, step 1 weight 0 %, by slipway: why",
        "rollout 4 m v1→v3: pending → progressing, step 1 weight 5 %, by slipway: why",
    ]


def test_an_api_that_does_not_answer_changes_nothing(timeline, api) -> None:
    timeline.look()
    api.down = True
    timeline.look()
    assert timeline.of("e", 3)["phase"] == "progressing"


def test_a_rollout_that_goes_on_has_no_outcome(timeline, tmp_path) -> None:
    timeline.look()
    assert outcome(timeline, Weights("http://gateway"), tmp_path, "e", 3) is None
    assert outcome(timeline, Weights("http://gateway"), tmp_path, "other", 3) is None


def test_the_outcome_joins_evidence_weights_and_answers(timeline, api, tmp_path: Path) -> None:
    counted = EndpointTally("classification")
    counted.succeeded("3", "200", 100.0, 1.0, 1.0)
    counted.went_wrong("3", "500", 101.5, "index out of range")
    tally.write(tmp_path / tally.FILE, 110.0, "http://gateway", {"e": counted})
    weights = Weights("http://gateway")
    for at, share in ((99.0, 5), (107.0, 0)):
        split = [{"version": "3", "weight": share}, {"version": "1", "weight": 100 - share}]
        weights._note({"e": {"split": split}}, at)
    api.moves.append(move(2, "progressing", "rolling_back", 0, FAILED_GATE))
    api.phase, api.active = "rolled_back", False
    timeline.look()
    found = outcome(timeline, weights, tmp_path, "e", 3)
    assert found == Outcome("rolled_back", frozenset({"error_rate"}), 5.5)
    assert _summary(("e", 3), found) == (
        "e v3 ended rolled_back; failed: error_rate; first bad answer to 0 %: 5.5 s"
    )


def test_weights_are_kept_when_they_change() -> None:
    weights = Weights("http://gateway")
    for at in (1.0, 2.0, 3.0):
        weights._note({"e": {"split": [{"version": "1", "weight": 100}]}}, at)
    assert weights.history["e"] == [(1.0, {"1": 100})]


def test_only_versions_with_an_expectation_are_waited_for() -> None:
    versions = [
        {"number": 1, "expect": {"phase": None, "gate": None}},
        {"number": 2, "expect": {"phase": "succeeded", "gate": None}},
    ]
    manifest = {"models": [{"endpoint": "e", "versions": versions}]}
    assert dict(_expected(manifest)) == {("e", 2): {"phase": "succeeded", "gate": None}}


def test_the_verdict_names_the_version_at_fault() -> None:
    expected = {("e", 2): {"phase": "succeeded", "gate": None}}
    assert list(_verdict(expected, {("e", 2): Outcome("succeeded")})) == []
    assert list(_verdict(expected, {})) == ["e v2: expected succeeded, but its rollout did not end in time"]


def test_a_demo_that_ends_by_itself_fails_the_check(tmp_path) -> None:
    demo = DemoProcess(tmp_path, ("false",))
    demo.start()
    demo.process.wait(10)
    with pytest.raises(Failed, match="ended by itself with status 1"):
        Check(demo, bound=60)._ready()
