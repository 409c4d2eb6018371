"""Watching a demo from outside: the weights that the gateway applies, and what its rollouts do."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from . import tally
from .api import Api, Unreachable
from .outcome import TERMINAL, Outcome, bad_since, failing_gates, zero_since

LOOK_SECONDS = 0.05
Document = dict[str, Any]


@dataclass
class Weights(threading.Thread):
    """Asks the gateway twenty times a second what it applies and keeps every change with its time."""

    gateway: str
    history: dict[str, list[tuple[float, Mapping[str, int]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(name="weights", daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        with requests.Session() as session:
            while not self.ended.wait(LOOK_SECONDS):
                try:
                    routes = session.get(f"{self.gateway}/-/routes", timeout=2).json()["endpoints"]
                except (requests.RequestException, ValueError, KeyError):
                    continue
                self._note(routes, time.time())

    def _note(self, routes: Mapping[str, Any], at: float) -> None:
        for endpoint, route in routes.items():
            weights = {item["version"]: int(item["weight"]) for item in route["split"]}
            known = self.history[endpoint]
            if not known or known[-1][1] != weights:
                known.append((at, weights))


@dataclass
class Timeline:
    """The rollouts of a demo over REST; `say` gets a line for each transition, once."""

    api: Api
    say: Callable[[str], None]
    rollouts: dict[int, Document] = field(default_factory=dict)
    moves: dict[int, list[Document]] = field(default_factory=lambda: defaultdict(list))

    def look(self) -> None:
        """Read what is new; an API that does not answer is asked again next time."""
        try:
            for rollout in self.api.items("rollouts", cursor="before"):
                self._read(rollout)
        except Unreachable:
            return

    def of(self, endpoint: str, candidate: int) -> Document | None:
        """The rollout of a version, if one was started."""
        for rollout in self.rollouts.values():
            if (rollout["endpoint"], rollout["candidate"]) == (endpoint, candidate):
                return rollout
        return None

    def _read(self, rollout: Document) -> None:
        known = self.rollouts.get(rollout["id"])
        if known and not known["active"]:
            return
        moves = self.moves[rollout["id"]]
        after = moves[-1]["number"] if moves else 0
        for move in self.api.items(f"rollouts/{rollout['id']}/transitions", cursor="after", after=after):
            moves.append(move)
            self.say(_line(rollout, move))
        self.rollouts[rollout["id"]] = rollout


def _line(rollout: Document, move: Document) -> str:
    who = f"rollout {rollout['id']} {rollout['model']} v{rollout['stable']}→v{rollout['candidate']}"
    phases = f"{move['from_phase']} → {move['to_phase']}"
    at = f"step {move['step']} weight {move['weight']} %"
    return f"{who}: {phases}, {at}, by {move['actor']}: {move['reason']}"


def outcome(timeline: Timeline, weights: Weights, home: Path, endpoint: str, version: int) -> Outcome | None:
    """How the rollout of a version ended; None while it has not."""
    rollout = timeline.of(endpoint, version)
    if rollout is None or rollout["phase"] not in TERMINAL:
        return None
    moves = timeline.moves[rollout["id"]]
    return Outcome(rollout["phase"], failing_gates(moves), _exposed(weights, home, endpoint, str(version)))


def _exposed(weights: Weights, home: Path, endpoint: str, version: str) -> float | None:
    counted = tally.read(home / tally.FILE)["endpoints"].get(endpoint, {}).get("versions", {})
    bad, zero = bad_since(counted.get(version, {})), zero_since(weights.history[endpoint], version)
    return None if bad is None or zero is None else zero - bad
