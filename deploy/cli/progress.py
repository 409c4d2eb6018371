"""How far a transfer is: a bar that is redrawn on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any

from deploy.cli.output import is_live
from deploy.cli.text import size, span

WIDTH = 30
_REDRAW_SECONDS = 0.1
# In a log: at each tenth, but not more often than this.
_LINE_SECONDS = 10.0


@dataclass
class Progress:
    """Counts the bytes of one transfer; `total` None = not known."""

    label: str
    total: int | None
    stream: IO[Any] = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    done: int = 0

    def __enter__(self) -> Progress:
        self.live = is_live(self.stream)
        self.begun = self.told = self.clock()
        self.before = self.done
        if not self.live:
            self._write(f"{self.label}: {self._whole()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self._redraw("\n")
        elif error is None:
            took = self.clock() - self.begun
            self._write(f"{self.label}: {size(self.done)} in {span(took)}")

    def add(self, count: int) -> None:
        """So many bytes more."""
        self.at(self.done + count)

    def at(self, done: int) -> None:
        """So many bytes in all."""
        self.done = done
        passed = self.clock() - self.told
        if self.live and passed >= _REDRAW_SECONDS:
            self.told = self.clock()
            self._redraw("")
        elif not self.live and passed >= _LINE_SECONDS:
            self.told = self.clock()
            self._write(f"{self.label}: {self.text()}")

    def text(self) -> str:
        """`45 % of 1.2 GiB, 80.0 MiB/s, 9 s left`."""
        passed = self.clock() - self.begun
        speed = (self.done - self.before) / passed if passed > 0 else 0.0
        rate = f"{size(speed)}/s"
        if not self.total:
            return f"{size(self.done)}, {rate}"
        left = f", {span((self.total - self.done) / speed)} left" if speed and self.done < self.total else ""
        return f"{100 * self.done // self.total} % of {size(self.total)}, {rate}{left}"

    def _whole(self) -> str:
        return size(self.total) if self.total is not None else "size not known"

    def _redraw(self, end: str) -> None:
        share = self.done / self.total if self.total else 0.0
        bar = ("#" * round(WIDTH * share)).ljust(WIDTH, ".")
        self.stream.write(f"\r\x1b[K{self.label} [{bar}] {self.text()}{end}")
        self.stream.flush()

    def _write(self, text: str) -> None:
        self.stream.write(f"{text}\n")
        self.stream.flush()
