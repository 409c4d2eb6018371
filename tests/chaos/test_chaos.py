"""200 rollouts on two workers, each of which is killed at every boundary of a tick, and altogether."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.chaos.killer import ANSWERED, BOUNDARIES, QUOTA, kills
from tests.chaos.plant import Plant
from tests.chaos.scenario import HOOKS
from tests.chaos.world import CANDIDATE, ENDINGS, kind
from tests.receiver import Receiver
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.waiting import eventually

pytestmark = pytest.mark.stack
ROLLOUTS = 200
SECONDS = 420
# Beside the kills at boundaries, whole workers and the dispatcher go, one of them so often.
KILL_EVERY = 15.0
# What remains in the outbox when the last rollout ends is sent within so many seconds, after the last kill.
POST_SECONDS = 60


@pytest.fixture(scope="module")
def chat() -> Iterator[Receiver]:
    """A chat that keeps what it was told."""
    with Receiver(lambda request: (200, {}, b'{"allow": true}')) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def plant(
    postgres: Postgres, redis_server: Redis, chat: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    """The end of all rollouts."""
    folder = tmp_path_factory.mktemp("chaos")
    url = f"json://127.0.0.1:{chat.port}/"
    with Plant(folder, postgres.create("chaos"), redis_server.url, killing=True, chat=url) as plant:
        plant.worker("worker-1")
        plant.worker("worker-2")
        plant.dispatcher()
        plant.scenario(ROLLOUTS)
        began = time.monotonic()
        eventually(_over_while_killing(plant), SECONDS, plant.why)
        took = time.monotonic() - began
        print(f"{ROLLOUTS} rollouts ended in {took:.0f} s; kills: {dict(kills(folder / 'kills'))}")
        yield plant


def _over_while_killing(plant: Plant) -> Any:
    victims = ["worker-1", "dispatcher", "worker-2", "dispatcher"]
    due = time.monotonic() + KILL_EVERY

    def over() -> bool:
        nonlocal due
        if plant.processes["dispatcher"].poll() is not None:
            plant.kill("dispatcher")
            plant.dispatcher()
        if time.monotonic() > due:
            victim = victims[0]
            victims.append(victims.pop(0))
            plant.kill(victim)
            plant.dispatcher() if victim == "dispatcher" else plant.worker(victim)
            due = time.monotonic() + KILL_EVERY
        return plant.over()

    return over


@pytest.fixture(scope="module")
def rollouts(plant: Plant) -> list[dict[str, Any]]:
    return json.loads(plant.report.read_text())


def _entries(chat: Receiver) -> list[tuple[int, int]]:
    """The rollout and the entry of its timeline of every notice, as they arrived."""
    places = (
        re.search(r"Rollout (\d+), entry (\d+), ", sent.json["message"])
        for sent in list(chat.received)
        if sent.path != "/gate"
    )
    return [(int(place[1]), int(place[2])) for place in places if place]


@pytest.fixture(scope="module")
def told(plant: Plant, chat: Receiver, rollouts: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Every notice that arrived, once all did."""
    wanted = {(item["id"], move["number"]) for item in rollouts for move in item["transitions"]}
    eventually(
        lambda: wanted <= set(_entries(chat)),
        POST_SECONDS,
        lambda: f"{len(wanted - set(_entries(chat)))} lost",
    )
    found = _entries(chat)
    print(f"{len(wanted)} notices arrived, {len(found) - len(wanted)} of them again")
    return found


@pytest.fixture(scope="module")
def applied(plant: Plant) -> list[dict[str, Any]]:
    """Every route that was really applied, in order."""
    log = plant.folder / "world" / "applied.log"
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_workers_were_killed_at_every_boundary(plant: Plant) -> None:
    assert kills(plant.folder / "kills") == {**dict.fromkeys(BOUNDARIES, QUOTA), "answered": ANSWERED}


def test_every_rollout_ended_where_it_should(rollouts: list[dict[str, Any]]) -> None:
    wrong = [item for item in rollouts if item["phase"] != ENDINGS[kind(item["endpoint"])]]
    assert wrong == []
    assert Counter(item["phase"] for item in rollouts) == {"succeeded": 80, "rolled_back": 120}
    stable = {item["endpoint"]: item["stable"] for item in rollouts}
    assert stable == {name: CANDIDATE if ENDINGS[kind(name)] == "succeeded" else "1" for name in stable}


def test_no_transition_was_lost_or_doubled(rollouts: list[dict[str, Any]]) -> None:
    for rollout in rollouts:
        moves = rollout["transitions"]
        assert [move["number"] for move in moves] == list(range(1, len(moves) + 1)), rollout["endpoint"]
        assert all(a["to_phase"] == b["from_phase"] for a, b in pairwise(moves)), rollout
        assert all(_place(a) != _place(b) for a, b in pairwise(moves)), rollout
        assert moves[-1]["to_phase"] == rollout["phase"]


def _place(move: dict[str, Any]) -> tuple[str, int]:
    return move["to_phase"], move["step"]


def test_no_look_was_lost_or_doubled(rollouts: list[dict[str, Any]]) -> None:
    for rollout in rollouts:
        count, numbers = rollout["looks"]
        assert numbers == list(range(1, count + 1)), rollout["endpoint"]


def test_no_route_was_applied_from_a_stale_decision(
    rollouts: list[dict[str, Any]], applied: list[dict[str, Any]]
) -> None:
    """Generations only rise, and the share of each is the one that was recorded with it."""
    decided = {item["endpoint"]: item["transitions"] for item in rollouts}
    newest: Counter[str] = Counter()
    for write in applied:
        name, generation = write["endpoint"], write["generation"]
        assert generation > newest[name], f"{name}: {generation} was applied after {newest[name]}"
        newest[name] = generation
        # Generation 1 is the endpoint's own; the start of its rollout made 2, and every move the next.
        weight = decided[name][generation - 2]["weight"] if generation > 1 else 0
        assert write["split"].get(CANDIDATE, 0) == weight, write
    assert len(applied) > 5 * ROLLOUTS


def test_the_route_that_remains_is_that_of_the_ending(
    rollouts: list[dict[str, Any]], applied: list[dict[str, Any]]
) -> None:
    last = {write["endpoint"]: write["split"] for write in applied}
    assert last == {item["endpoint"]: {item["stable"]: 100} for item in rollouts}


def test_every_move_was_told_and_in_the_order_of_its_rollout(told: list[tuple[int, int]]) -> None:
    """A notice may arrive again, after a courier was killed between sending and marking; none is lost."""
    newest: Counter[int] = Counter()
    for rollout, entry in told:
        assert entry <= newest[rollout] + 1, (
            f"entry {entry} of rollout {rollout} came before the one before it"
        )
        newest[rollout] = max(newest[rollout], entry)
    assert len(told) > len(set(told)), "no courier was killed between sending and marking"


def test_every_hook_was_asked_and_told_and_its_calls_can_be_told_apart(
    plant: Plant, chat: Receiver, rollouts: list[dict[str, Any]]
) -> None:
    """A call may arrive again after its caller was killed, under the same id; none is lost."""
    wanted = {
        (item["id"], f"rollout.{moment}")
        for item in rollouts
        for moment in HOOKS.get(kind(item["endpoint"]), ())
    }

    def calls() -> list[tuple[tuple[int, str], str]]:
        found = [sent for sent in list(chat.received) if sent.path == "/gate"]
        return [((s.json["data"]["rollout"], s.json["type"]), s.headers["webhook-id"]) for s in found]

    eventually(
        lambda: wanted <= {what for what, _ in calls()},
        POST_SECONDS,
        lambda: f"{wanted - {what for what, _ in calls()}} lost",
    )
    found = calls()
    assert {what for what, _ in found} == wanted
    assert len(set(found)) == len({identity for _, identity in found}) == len(wanted)
    assert len(found) > len(wanted), "no caller was killed between answer and mark"


def test_who_aborted_is_recorded(rollouts: list[dict[str, Any]]) -> None:
    stopped = [item for item in rollouts if kind(item["endpoint"]) == "abort"]
    actors = {m["actor"] for item in stopped for m in item["transitions"] if m["to_phase"] == "rolling_back"}
    assert len(actors) == 1
    assert "eve" in actors.pop()
