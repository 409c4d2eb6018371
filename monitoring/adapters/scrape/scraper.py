"""The scraper process: a cycle per interval, housekeeping in between, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import aiohttp
from django.db import DatabaseError, close_old_connections

from monitoring.adapters.scrape.collect import SELF_JOB, Collector, Fetched, fetch_all, self_page
from monitoring.adapters.scrape.retention import Retention
from monitoring.adapters.scrape.store import Store
from monitoring.adapters.scrape.targets import BadTargets, Target, read_targets

logger = logging.getLogger(__name__)

SELF = Target("localhost", {"job": SELF_JOB})
SWEEP_SECONDS = 3600.0


class Scraper:
    """Scrapes the targets of a file_sd file into the database every `interval` seconds until stopped."""

    def __init__(self, targets: Path, interval: float) -> None:
        self._path = targets
        self._interval = interval
        self._collector = Collector()
        self._store = Store()
        self._retention = Retention()
        self._stopped = False
        self._problem = ""
        self._swept = 0.0

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        self._stopped = True

    def run(self) -> None:
        """Until SIGTERM or SIGINT; a failing database or list of targets is logged and tried again."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        with asyncio.Runner() as runner:
            session = runner.run(_open_session())
            self._guard(lambda: self._store.resume([*self._targets(), SELF], self._collector))
            try:
                while not self._stopped:
                    began = time.monotonic()
                    self._guard(lambda: self._cycle(runner, session))
                    self._wait(began + self._interval)
            finally:
                runner.run(session.close())

    def _cycle(self, runner: asyncio.Runner, session: aiohttp.ClientSession) -> None:
        began, at = time.monotonic(), time.time()
        timeout = max(0.5, 0.9 * self._interval)
        fetched = runner.run(fetch_all(session, self._targets(), at, timeout))
        own = Fetched(SELF, at, self_page(fetched, time.monotonic() - began))
        self._store.add(self._collector.samples([*fetched, own]))
        self._retention.step(at)
        if at - self._swept > SWEEP_SECONDS:
            self._swept = at
            self._retention.sweep(at)

    def _targets(self) -> list[Target]:
        try:
            return read_targets(self._path)
        except BadTargets as error:
            self._tell(str(error))
            return []

    def _guard(self, work: Callable[[], object]) -> None:
        try:
            close_old_connections()
            work()
        except DatabaseError as error:
            self._tell(f"The database refused: {error}. Trying again.")
            # What was remembered may not have been stored: read it anew.
            self._collector, self._store = Collector(), Store()
        else:
            self._problem = ""

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            logger.error("%s", problem)
        self._problem = problem

    def _wait(self, until: float) -> None:
        """Sleep in short pieces, so that a signal ends the process at once."""
        while not self._stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


async def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64, limit_per_host=64))
