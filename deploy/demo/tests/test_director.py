"""The director against an API kept in memory."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import director
from deploy.demo import release as releasing
from deploy.demo.api import ApiError, Unreachable
from deploy.demo.release import Release, Stopped

MODEL = {
    "name": "diabetes",
    "endpoint": "diabetes-production",
    "owner_team": "t",
    "description": "d",
    "versions": [
        {
            "name": name,
            "number": number,
            "artifact": f"{number}.onnx",
            "reference": f"{number}.npz",
            "metadata": {"label": f"{number}.0.0", "metrics": {"rmse": 56.0}, "notes": "Better."},
            "expect": {"phase": phase, "gate": None},
        }
        for number, (name, phase) in enumerate(
            [("first", None), ("good", "succeeded"), ("bad", "rolled_back")], start=1
        )
    ],
}


class Slipway:
    """Models, endpoints and rollouts; a rollout makes one move each time it is looked at."""

    def __init__(self, ends: dict[int, str]) -> None:
        self.ends = ends
        self.models: dict[str, dict] = {}
        self.environments: list[str] = []
        self.endpoints: dict[str, dict] = {}
        self.versions: list[dict] = []
        self.rollouts: list[dict] = []
        self.calls: list[str] = []
        self.outages = 0

    def find(self, path: str) -> dict | None:
        kind, _, name = path.partition("/")
        return (self.models if kind == "models" else self.endpoints).get(name)

    def get(self, path: str, **query: Any) -> dict:
        if self.outages:
            self.outages -= 1
            raise Unreachable("down")
        if path == "environments":
            return {"items": [{"name": name} for name in self.environments]}
        if path.startswith("endpoints/"):
            return self.endpoints[path.partition("/")[2]]
        rollout = self.rollouts[int(path.partition("/")[2]) - 1]
        rollout["looks"] += 1
        if rollout["active"] and rollout["looks"] > 1:
            rollout["active"], rollout["phase"] = False, self.ends[rollout["candidate"]]
        return dict(rollout)

    def items(self, path: str, cursor: str, **query: Any) -> Iterator[dict]:
        if path.endswith("/versions"):
            yield from self.versions
        elif path == "rollouts":
            yield from reversed(self.rollouts)
        else:
            rollout = self.rollouts[int(path.split("/")[1]) - 1]
            moves = [(1, "pending")] + ([(2, rollout["phase"])] if not rollout["active"] else [])
            for number, phase in moves:
                if number > query["after"]:
                    yield {"number": number, "weight": 0, "to_phase": phase, "reason": "because"}

    def post(self, path: str, document: dict) -> dict:
        self.calls.append(path)
        if path == "rollouts" and any(rollout["active"] for rollout in self.rollouts):
            raise ApiError(409, "a rollout is active")
        if path == "models":
            self.models[document["name"]] = document
        elif path == "environments":
            self.environments.append(document["name"])
        elif path == "endpoints":
            self.endpoints[document["name"]] = document | {"observed": {"weights": {"1": 100}}}
        else:
            rollout = {"id": len(self.rollouts) + 1, "candidate": document["version"], "phase": "pending"}
            self.rollouts.append(rollout | {"active": True, "looks": 0, "request": document})
            return self.rollouts[-1]
        return document

    def upload(self, path: str, metadata: dict, files: dict[str, Path]) -> dict:
        self.calls.append(path)
        self.versions.append({"number": len(self.versions) + 1, "label": metadata["label"]})
        return self.versions[-1]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releasing, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(releasing, "REST_SECONDS", 0.0)


@pytest.fixture
def slipway() -> Slipway:
    return Slipway({2: "succeeded", 3: "rolled_back"})


def release(slipway: Slipway) -> Release:
    return Release(Path("/models"), MODEL, slipway, slipway, threading.Event())  # type: ignore[arg-type]


def test_everything_is_made_once_and_released_in_order(slipway) -> None:
    assert release(slipway).run() == {"good": "succeeded", "bad": "rolled_back"}
    assert slipway.calls == [
        "models",
        "models/diabetes/versions",
        "environments",
        "endpoints",
        "models/diabetes/versions",
        "rollouts",
        "models/diabetes/versions",
        "rollouts",
    ]


def test_a_director_that_starts_again_finds_its_work_done(slipway) -> None:
    release(slipway).run()
    before = list(slipway.calls)
    assert release(slipway).run() == {"good": "succeeded", "bad": "rolled_back"}
    assert slipway.calls == before


def test_a_director_that_starts_again_follows_the_rollout_that_runs(slipway) -> None:
    release(slipway).run()
    slipway.rollouts.pop()
    slipway.rollouts[0].update(active=True, phase="progressing", looks=0)
    slipway.versions.pop()
    assert release(slipway).run()["good"] == "succeeded"
    assert [rollout["candidate"] for rollout in slipway.rollouts] == [2, 3]


def test_a_rollout_that_somebody_else_started_is_waited_for(slipway) -> None:
    other = {"id": 1, "candidate": 1, "phase": "progressing", "active": True, "looks": 0}
    slipway.rollouts.append(other)
    asked = []

    def ends_after_three(*args, **kwargs):
        asked.append(args)
        other["active"] = len(asked) < 3
        return iter(list(reversed(slipway.rollouts)))

    real = slipway.items
    slipway.items = lambda path, **query: ends_after_three() if path == "rollouts" else real(path, **query)
    assert release(slipway).run()["good"] == "succeeded"
    assert len(asked) >= 3


def test_an_api_that_is_away_for_a_moment_is_asked_again(slipway, monkeypatch) -> None:
    monkeypatch.setattr("deploy.demo.api.time.sleep", lambda seconds: None)
    slipway.outages = 3
    assert release(slipway).run()["bad"] == "rolled_back"


def test_a_director_that_is_told_to_stop_stops_while_it_follows(slipway) -> None:
    item = release(slipway)
    slipway.ends = {}
    item.stopped.set()
    slipway.get = lambda path, **query: (  # a rollout that never ends
        {"items": []} if path == "environments" else {"active": True, "observed": {"weights": {"1": 100}}}
    )
    with pytest.raises(Stopped):
        item.run()


def test_every_move_is_told_once(slipway, capsys) -> None:
    release(slipway).run()
    lines = capsys.readouterr().out.splitlines()
    assert sum("diabetes v2:   0 % pending: because" in line for line in lines) == 1
    assert sum("diabetes v2: succeeded" in line for line in lines) == 1


def test_a_director_that_starts_again_does_not_tell_old_moves_again(slipway, capsys) -> None:
    release(slipway).run()
    capsys.readouterr()
    release(slipway).run()
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "diabetes: diabetes-production is live with v1",
        "diabetes v2: succeeded",
        "diabetes v3: rolled back",
    ]


def test_a_release_that_ended_otherwise_is_named(capsys) -> None:
    assert list(director._unexpected(MODEL, {"good": "rolled_back", "bad": "rolled_back"})) == ["good"]
    assert "diabetes good: expected succeeded, but the rollout ended rolled_back" in capsys.readouterr().out


def test_the_reason_of_a_rollout_says_what_the_candidate_scores(slipway) -> None:
    release(slipway).run()
    assert slipway.rollouts[0]["request"]["reason"] == "Better. Held-out rows: rmse 56."
