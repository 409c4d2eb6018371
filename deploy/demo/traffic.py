"""`python -m deploy.demo.traffic`: replay held-out rows with their labels through the gateway.

Open loop: requests leave on their own schedule whether or not earlier ones were answered, as the
requests of independent callers do. Answers are compared with the labels and counted by version.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import uvloop

from . import tally
from .models.manifest import FOLDER, read_manifest
from .tally import NO_VERSION, EndpointTally

RATE = 200.0
MOST_UNANSWERED = 256
TIMEOUT = aiohttp.ClientTimeout(total=15)
WRITE_EVERY = 1.0
ASK_EVERY = 0.25
# A schedule that fell this many seconds behind (the machine slept) starts anew instead of bursting.
FORGET_BEHIND = 1.0
SEED = 7


@dataclass(frozen=True, slots=True)
class Row:
    """One request body and what the right answer is."""

    body: bytes
    label: float


@dataclass
class Replay:
    """The held-out rows of one endpoint, in random order without end, and what came of them."""

    endpoint: str
    rows: Sequence[Row]
    counted: EndpointTally
    users: int = 0
    unanswered: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(SEED))

    def shuffled(self) -> Iterator[Row]:
        while True:
            yield from self.random.sample(self.rows, len(self.rows))

    def headers(self) -> dict[str, str]:
        """A sticky key of one of the users, if there are users."""
        key = {"x-slipway-key": f"user-{self.random.randrange(self.users)}"} if self.users else {}
        return {"content-type": "application/json", **key}


def load(folder: Path, earlier: dict[str, Any], users: int) -> list[Replay]:
    """One replay per model of the manifest in `folder`; counters go on from `earlier`."""
    return [_replay(folder, model, earlier, users) for model in read_manifest(folder)["models"]]


def _replay(folder: Path, model: dict[str, Any], earlier: dict[str, Any], users: int) -> Replay:
    with np.load(folder / model["held_out"]) as held_out:
        features, labels = held_out["X"], held_out["y"]
    rows = [
        Row(orjson.dumps({"features": row}, option=orjson.OPT_SERIALIZE_NUMPY), float(label))
        for row, label in zip(features, labels, strict=True)
    ]
    counted = EndpointTally.from_dict(model["task"], earlier["endpoints"].get(model["endpoint"], {}))
    return Replay(model["endpoint"], rows, counted, users)


async def send(session: aiohttp.ClientSession, gateway: str, replay: Replay, row: Row) -> None:
    """One request, counted however it ends."""
    url = f"{gateway}/{replay.endpoint}/predict"
    replay.unanswered += 1
    try:
        async with session.post(url, data=row.body, headers=replay.headers()) as response:
            body = await response.read()
        version = response.headers.get("x-slipway-version", NO_VERSION)
        _count(replay, row, version, response.status, body)
    except (aiohttp.ClientError, TimeoutError) as error:
        code = "timeout" if isinstance(error, TimeoutError) else "unreachable"
        replay.counted.went_wrong(NO_VERSION, code, time.time(), f"{type(error).__name__}: {error}")
    finally:
        replay.unanswered -= 1


def _count(replay: Replay, row: Row, version: str, status: int, body: bytes) -> None:
    now = time.time()
    if status != 200:
        replay.counted.went_wrong(version, str(status), now, body.decode(errors="replace"))
        return
    try:
        predicted = float(orjson.loads(body)["prediction"])
    except (ValueError, KeyError, TypeError):
        replay.counted.went_wrong(version, "unreadable", now, body.decode(errors="replace"))
        return
    replay.counted.succeeded(version, str(status), now, predicted, row.label)


async def until_it_answers(session: aiohttp.ClientSession, gateway: str, replay: Replay) -> None:
    """Wait for the endpoint's first good answer; what happens before it exists is nobody's failure."""
    url = f"{gateway}/{replay.endpoint}/predict"
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.post(url, data=replay.rows[0].body, headers=replay.headers()) as response:
                if response.status == 200:
                    return
        await asyncio.sleep(ASK_EVERY)


async def replay_forever(session: aiohttp.ClientSession, gateway: str, replay: Replay, rate: float) -> None:
    """Send with exponential gaps, `rate` requests per second on average."""
    await until_it_answers(session, gateway, replay)
    running: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    for row in replay.shuffled():
        due += replay.random.expovariate(rate)
        now = time.monotonic()
        if now - due > FORGET_BEHIND:
            due = now
        await asyncio.sleep(max(0.0, due - now))
        if replay.unanswered >= MOST_UNANSWERED:
            replay.counted.skipped += 1
            continue
        replay.counted.sent += 1
        task = asyncio.create_task(send(session, gateway, replay, row))
        running.add(task)
        task.add_done_callback(running.discard)


async def report_forever(path: Path, gateway: str, replays: Sequence[Replay]) -> None:
    """Write the counters every second."""
    while True:
        await asyncio.sleep(WRITE_EVERY)
        _report(path, gateway, replays)


def _report(path: Path, gateway: str, replays: Sequence[Replay]) -> None:
    tally.write(path, time.time(), gateway, {replay.endpoint: replay.counted for replay in replays})


async def run(path: Path, gateway: str, replays: Sequence[Replay], rate: float) -> None:
    """Replay until cancelled; the counters are written one last time on the way out."""
    connector = aiohttp.TCPConnector(limit=MOST_UNANSWERED, keepalive_timeout=30)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:
        try:
            async with asyncio.TaskGroup() as group:
                for replay in replays:
                    group.create_task(replay_forever(session, gateway, replay, rate))
                group.create_task(report_forever(path, gateway, replays))
        finally:
            _report(path, gateway, replays)


async def run_until_signal(path: Path, gateway: str, replays: Sequence[Replay], rate: float) -> None:
    """`run` until SIGTERM or SIGINT."""
    working = asyncio.ensure_future(run(path, gateway, replays, rate))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await working


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.traffic", description=__doc__)
    home = os.environ.get("SLIPWAY_HOME", ".slipway")
    parser.add_argument("--home", type=Path, default=Path(home), help="where demo-traffic.json goes")
    parser.add_argument("--models", type=Path, help="folder of the trained models (default: in HOME)")
    parser.add_argument("--gateway", required=True, help="base URL of the gateway")
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second and endpoint")
    parser.add_argument("--users", type=int, default=0, help="number of callers with a sticky key (0: none)")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse_arguments()
    path = arguments.home / tally.FILE
    replays = load(arguments.models or arguments.home / FOLDER, tally.read(path), arguments.users)
    print(
        json.dumps({"replaying": [replay.endpoint for replay in replays], "rate": arguments.rate}), flush=True
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_until_signal(path, arguments.gateway.rstrip("/"), replays, arguments.rate))


if __name__ == "__main__":
    main()
