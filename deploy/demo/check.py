"""`python -m deploy.demo.check`: the whole demo without a browser, in a folder of its own.

Exit status 0 only if the good candidate was promoted and every bad one was rolled back for its own
reason, the crashing one within an analysis interval and two seconds of its first bad answer.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .access import Access, read_access
from .api import Api, ApiError, Unreachable
from .canary import INTERVAL_SECONDS
from .models.manifest import FOLDER, read_manifest
from .outcome import Outcome, problems
from .process import DemoProcess
from .watch import Timeline, Weights, outcome

BOUND_SECONDS = 360.0
STOP_SECONDS = 40.0
POLL_SECONDS = 0.5
Version = tuple[str, int]


class Failed(Exception):
    """The check cannot go on."""


@dataclass
class Check:
    """One run: starts the demo, watches until every rollout ended or `bound` seconds passed."""

    demo: DemoProcess
    bound: float
    started: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        print(f"{time.monotonic() - self.started:6.1f} s  {line}", flush=True)

    @property
    def late(self) -> bool:
        return time.monotonic() - self.started > self.bound - STOP_SECONDS

    def run(self) -> list[str]:
        """What was not as expected, in sentences."""
        self.demo.start()
        access = self._ready()
        self.say(f"the demo answers at {access.base_url}")
        weights = Weights(access.gateway_url)
        weights.start()
        timeline = Timeline(Api(access.base_url, access.tokens["viewer"]), self.say)
        expected = dict(_expected(read_manifest(self.demo.home / FOLDER)))
        outcomes: dict[Version, Outcome] = {}
        while len(outcomes) < len(expected) and not self.late:
            self._alive()
            timeline.look()
            self._collect(timeline, weights, expected, outcomes)
            time.sleep(POLL_SECONDS)
        weights.ended.set()
        return list(_verdict(expected, outcomes))

    def _ready(self) -> Access:
        while not self.late:
            self._alive()
            try:
                access = read_access(self.demo.home)
                Api(access.base_url, access.tokens["viewer"]).get("rollouts")
                return access
            except (FileNotFoundError, ValueError, Unreachable):
                time.sleep(POLL_SECONDS)
        raise Failed("the demo did not answer in time")

    def _alive(self) -> None:
        status = self.demo.status()
        if status is not None:
            raise Failed(f"the demo ended by itself with status {status}")

    def _collect(
        self,
        timeline: Timeline,
        weights: Weights,
        expected: Mapping[Version, Mapping[str, Any]],
        outcomes: dict[Version, Outcome],
    ) -> None:
        for version in expected.keys() - outcomes.keys():
            ended = outcome(timeline, weights, self.demo.home, *version)
            if ended is None:
                continue
            outcomes[version] = ended
            self.say(_summary(version, ended))


def _summary(version: Version, ended: Outcome) -> str:
    endpoint, number = version
    text = f"{endpoint} v{number} ended {ended.phase}"
    if ended.phase != "rolled_back":
        return text
    took = "unknown" if ended.exposed is None else f"{ended.exposed:.1f} s"
    return f"{text}; failed: {', '.join(sorted(ended.gates))}; first bad answer to 0 %: {took}"


def _expected(manifest: Mapping[str, Any]) -> Iterator[tuple[Version, Mapping[str, Any]]]:
    for model in manifest["models"]:
        for item in model["versions"]:
            if item["expect"]["phase"]:
                yield (model["endpoint"], item["number"]), item["expect"]


def _verdict(expected: Mapping[Version, Any], outcomes: Mapping[Version, Outcome]) -> Iterator[str]:
    for version, expect in expected.items():
        for problem in problems(expect, outcomes.get(version), INTERVAL_SECONDS):
            yield f"{version[0]} v{version[1]}: {problem}"


def examine(demo: DemoProcess, bound: float) -> list[str]:
    """Run the demo, stop it whatever happens, and say what was wrong."""
    check = Check(demo, bound)
    try:
        found = check.run()
    except (Failed, ApiError, KeyboardInterrupt) as error:
        found = [str(error) or "interrupted"]
    found += demo.stop()
    check.say("stopped, no process is left" if not demo.left_over else "stopped")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.check", description=__doc__)
    parser.add_argument("--seconds", type=float, default=BOUND_SECONDS, help="bound of the whole check")
    parser.add_argument("--keep", action="store_true", help="keep the folder, also after success")
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="slipway-demo-check-"))
    demo = DemoProcess(home)
    found = examine(demo, arguments.seconds)
    if not found:
        print("the demo did what it should")
        if not arguments.keep:
            shutil.rmtree(home)
        return 0
    print(demo.log_tails())
    for problem in found:
        print(f"WRONG: {problem}", file=sys.stderr)
    print(f"everything it wrote is in {home}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
