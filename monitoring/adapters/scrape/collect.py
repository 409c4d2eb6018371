"""One scrape cycle: fetch every page at once, parse, store one row per target."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np

from monitoring.adapters.scrape.exposition import Layout, PageParser
from monitoring.adapters.scrape.targets import Target
from monitoring.domain.arrays import FloatArray
from monitoring.errors import BadExposition

logger = logging.getLogger(__name__)

SELF_JOB = "slipway-scraper"
MAX_PAGE_BYTES = 16 << 20
_ACCEPT = {"Accept": "text/plain;version=0.0.4", "User-Agent": "slipway-scraper"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A target's page as text, or why there is none; `at` is the Unix time of the request."""

    target: Target
    at: float
    text: str | None
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A parsed page ready to store; `layout` None = the target was down."""

    target: Target
    at: float
    layout: Layout | None
    values: FloatArray
    epoch: int


async def fetch_all(
    session: aiohttp.ClientSession, targets: Iterable[Target], at: float, timeout: float
) -> list[Fetched]:
    """Every target's page, fetched concurrently; a target that fails or is slow is reported, not raised."""
    return await asyncio.gather(*(_fetch(session, target, at, timeout) for target in targets))


async def _fetch(session: aiohttp.ClientSession, target: Target, at: float, timeout: float) -> Fetched:
    try:
        limit = aiohttp.ClientTimeout(total=timeout)
        async with session.get(target.url, headers=_ACCEPT, timeout=limit, allow_redirects=False) as response:
            if response.status != 200:
                return Fetched(target, at, None, f"answered {response.status}")
            body = await response.content.read(MAX_PAGE_BYTES)
            while chunk := await response.content.read(MAX_PAGE_BYTES):
                body += chunk
                if len(body) > MAX_PAGE_BYTES:
                    return Fetched(target, at, None, f"sent more than {MAX_PAGE_BYTES >> 20} MiB")
            return Fetched(target, at, body.decode())
    except (TimeoutError, aiohttp.ClientError, OSError, UnicodeDecodeError) as error:
        return Fetched(target, at, None, f"{type(error).__name__}: {error}")


@dataclass(slots=True)
class Memory:
    """What the scraper remembers of one target between cycles."""

    parser: PageParser = field(default_factory=PageParser)
    layout: Layout | None = None
    values: FloatArray = field(default_factory=lambda: np.zeros(0))
    epoch: int = 0
    problem: str = ""


class Collector:
    """Turns fetched pages into samples, noticing restarts; logs a target's trouble once, when it changes."""

    def __init__(self) -> None:
        self._memory: dict[str, Memory] = {}

    def remember(self, key: str, layout: Layout, values: FloatArray, epoch: int) -> None:
        """Continue a target that an earlier scraper process stored."""
        self._memory[key] = Memory(layout=layout, values=values, epoch=epoch)

    def samples(self, fetched: Sequence[Fetched]) -> list[Sample]:
        """One sample per page; what is remembered of targets that are no longer listed is forgotten."""
        found = [self._sample(page) for page in fetched]
        listed = {page.target.key for page in fetched}
        self._memory = {key: memory for key, memory in self._memory.items() if key in listed}
        return found

    def _sample(self, page: Fetched) -> Sample:
        memory = self._memory.setdefault(page.target.key, Memory())
        problem = page.problem
        try:
            if page.text is not None:
                layout, values = memory.parser.parse(page.text)
                memory.epoch += _restarted(memory, layout, values)
                memory.layout, memory.values = layout, values
                self._tell(page.target, memory, "")
                return Sample(page.target, page.at, layout, values, memory.epoch)
        except BadExposition as error:
            problem = str(error)
        self._tell(page.target, memory, problem)
        return Sample(page.target, page.at, None, np.zeros(0), memory.epoch)

    @staticmethod
    def _tell(target: Target, memory: Memory, problem: str) -> None:
        if problem and not memory.problem:
            logger.warning("%s is down: %s", target.address, problem)
        elif memory.problem and not problem:
            logger.info("%s is up again", target.address)
        memory.problem = problem


def _restarted(memory: Memory, layout: Layout, values: FloatArray) -> bool:
    """Whether a counter fell, or is gone, since the last page of this target."""
    return memory.layout is not None and fell(memory.layout, memory.values, layout, values, gone=True)


def fell(before: Layout, old: FloatArray, now: Layout, new: FloatArray, *, gone: bool) -> bool:
    """Whether a counter of the page `before` is lower on the page `now`; `gone`: or is missing there."""
    if before is now:
        counters = now.counters
        return bool((new[counters] < old[counters]).any())
    missing = -1.0 if gone else float("inf")
    found = {(name, tuple(labels.items())): new[i] for i, (name, labels) in enumerate(now.columns)}
    return any(
        found.get((name, tuple(labels.items())), missing) < old[i]
        for i in before.counters
        for name, labels in [before.columns[i]]
    )


def self_page(fetched: Sequence[Fetched], seconds: float) -> str:
    """The scraper's own page: how many targets answered and how long the cycle took."""
    up = sum(page.text is not None for page in fetched)
    return (
        f'slipway_scrape_targets{{state="up"}} {up}\n'
        f'slipway_scrape_targets{{state="down"}} {len(fetched) - up}\n'
        f"slipway_scrape_duration_seconds {seconds:.6f}\n"
    )
