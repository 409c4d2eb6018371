"""How fast refusals leave an overloaded server.

A client that asks again the moment it was refused gets refusals as fast as the server can write them, and
the CPU they take is missing for those who are served. So only so many leave per second; the others are
held for a moment, which costs nothing.
"""

from __future__ import annotations

from time import monotonic

PER_SECOND = 500
LONGEST_SECONDS = 1.0


class Pace:
    """Gives each refusal its time."""

    def __init__(self, per_second: float = PER_SECOND, longest: float = LONGEST_SECONDS) -> None:
        self._step = 1 / per_second
        self._longest = longest
        self._next = 0.0
        self.hold = True

    def wait(self) -> float:
        """Seconds until the next refusal may leave: 0 when there were few, and never more than `longest`."""
        if not self.hold:
            return 0.0
        now = monotonic()
        at = max(now, self._next)
        self._next = min(at + self._step, now + self._longest)
        return at - now
