"""Workers, a dispatcher and a scenario as real processes on one PostgreSQL and one Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg

from tests.servers.waiting import ROOT

TICK_SECONDS = "4"
# Celery replaces a killed pool process within 5 seconds; so many may be killed meanwhile.
POOL = 5


@dataclass
class Plant:
    """Starts and kills processes by name; all of them end with it."""

    folder: Path
    database: str
    queue: str
    killing: bool = False
    chat: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for name in ("world", "kills"):
            (self.folder / name).mkdir()
        self.finished("migrate", [sys.executable, "manage.py", "migrate", "-v", "0"])
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.processes):
            self.kill(name)

    @property
    def report(self) -> Path:
        """What the scenario wrote."""
        return self.folder / "report.json"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a production installation, with the world of these tests."""
        own = {
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
            "SLIPWAY_HOME": str(self.folder / "home"),
            "SLIPWAY_SECRET_KEY": "chaos",
            "SLIPWAY_DATABASE_URL": self.database,
            "SLIPWAY_REDIS_URL": self.queue,
            "SLIPWAY_CLUSTER": "tests.chaos.world.FileCluster",
            "SLIPWAY_ROUTER": "tests.chaos.world.FileRouter",
            "SLIPWAY_METRICS_SOURCE": "tests.chaos.world.ScriptedSource",
            "SLIPWAY_ARTIFACT_STORE": "tests.chaos.world.Anywhere",
            "SLIPWAY_TICK_SECONDS": TICK_SECONDS,
            "SLIPWAY_LOG_LEVEL": "WARNING",
            "SLIPWAY_NOTICES_QUEUE": "notices",
            "SLIPWAY_OUTBOUND_ALLOW": "127.0.0.1",
            "SLIPWAY_CHAOS_CHAT": self.chat,
            "SLIPWAY_CHAOS_WORLD": str(self.folder / "world"),
        }
        kills = {"SLIPWAY_CHAOS_KILLS": str(self.folder / "kills")} if self.killing else {}
        return {**os.environ, **own, **kills, **self.variables}

    def worker(self, name: str) -> None:
        """A Celery worker with its pool of processes that tick."""
        options = [f"--concurrency={POOL}", "--loglevel=WARNING", "--without-gossip", "--without-mingle"]
        options += ["-Q", "celery,notices"]
        command = [sys.executable, "-m", "celery", "-A", "tests.chaos.app", "worker"]
        self.start(name, [*command, *options, f"--hostname={name}@%h"])

    def dispatcher(self, name: str = "dispatcher") -> None:
        """`manage.py tick` with a queue."""
        self.start(name, [sys.executable, "-m", "tests.chaos.leases", "tick"])

    def scenario(self, rollouts: int) -> None:
        """Starts so many rollouts and waits for their ends."""
        module = [sys.executable, "-m", "tests.chaos.scenario"]
        self.start("scenario", [*module, str(rollouts), str(self.report)])

    def start(self, name: str, command: list[str]) -> None:
        """A process in a group of its own, its output in `<name>.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """SIGKILL to the process and to everything it started."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def finished(self, name: str, command: list[str]) -> None:
        """A process that must end well."""
        self.start(name, command)
        code = self.processes.pop(name).wait(120)
        assert code == 0, self.log(name)

    def over(self) -> bool:
        """Whether the scenario saw every rollout end; fails when it died of something."""
        code = self.processes["scenario"].poll()
        assert code in {None, 0}, self.log("scenario")
        return code == 0

    def log(self, name: str) -> str:
        """The end of what a process said."""
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def why(self) -> str:
        """Which rollouts are where, for the message of a failure."""
        query = "SELECT phase, count(*), min(reason) FROM rollouts_rollout GROUP BY phase"
        with psycopg.connect(self.database) as connection:
            rows = connection.execute(query).fetchall()
        return f"{rows}\n{self.log('scenario')}"
