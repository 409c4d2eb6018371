"""Following a rollout until there is nothing to wait for: redrawn on a terminal, lines in a log, or JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deploy.cli.client import Client, Document
from deploy.cli.errors import Unreachable
from deploy.cli.exits import Exit
from deploy.cli.outcome import last_words, outcome
from deploy.cli.output import Out, is_live
from deploy.cli.rollouts import look_text, move_line, state_lines
from deploy.cli.screen import Screen
from deploy.cli.text import line, span

INTERVAL = 2.0
# How long a server may be away before the waiting is given up.
PATIENCE = 600.0
# A log that is silent for longer looks dead.
HEARTBEAT = 60.0


@dataclass
class Follower:
    """Looks at one rollout every `interval` seconds. `timeout` None = as long as it takes."""

    client: Client
    number: int
    out: Out
    timeout: float | None = None
    interval: float = INTERVAL
    through_pauses: bool = False
    clock: Callable[[], float] = time.monotonic
    screen: Screen = field(default_factory=Screen)
    _moves: int = 0
    _cause: str = ""
    _look: Document | None = None
    _said: tuple[str, float] = ("", 0.0)
    _away_since: float | None = None

    def run(self) -> Exit:
        """The exit status; Ctrl-C leaves the rollout running and says so."""
        self.live = not self.out.as_json and is_live(sys.stdout)
        self.deadline = None if self.timeout is None else self.clock() + self.timeout
        try:
            while (found := self._try()) is None:
                if self.deadline is not None and self.clock() >= self.deadline:
                    return self._timed_out()
                self._rest()
            return found
        except KeyboardInterrupt:
            self.out.say(self._goes_on("The rollout goes on."))
            return Exit.INTERRUPTED

    def _try(self) -> Exit | None:
        """One look; a server that is away is waited for."""
        try:
            found = self._step()
        except Unreachable as error:
            now = self.clock()
            self._away_since = now if self._away_since is None else self._away_since
            if now - self._away_since > PATIENCE:
                raise
            self._say_once(f"{error.message} Still trying.")
            return None
        if self._away_since is not None:
            self._away_since = None
            self.out.say("The server answers again.")
        return found

    def _step(self) -> Exit | None:
        rollout = self.client.get(f"rollouts/{self.number}")
        news = sorted(self._news(), key=lambda item: str(item[0]["at"]))
        found = outcome(rollout, self._votes(), through_pauses=self.through_pauses)
        if self.live:
            self.screen.draw([*state_lines(rollout, self._look)], above=[text for _, text in news])
        else:
            for document, text in news:
                self.out.event(document, text)
            self._heartbeat(rollout, bool(news))
        if found is not None:
            self.out.event(
                {"event": "end", "exit": int(found), "rollout": rollout},
                line(last_words(rollout, found, self._cause)),
            )
        return found

    def _news(self) -> Iterator[tuple[Document, str]]:
        """What happened since the last look, as an event and as a line."""
        path = f"rollouts/{self.number}"
        for move in self.client.items(f"{path}/transitions", None, after=self._moves):
            self._moves = move["number"]
            if move["to_phase"] == "rolling_back" and not self._cause:
                self._cause = move["reason"]
            yield {"event": "transition", **move}, move_line(move)
        page = self.client.find(f"{path}/looks", limit=1)
        newest = page["items"][0] if page and page["items"] else None
        before, self._look = self._look, newest
        if newest and (before is None or before["verdict"] != newest["verdict"]):
            yield {"event": "look", **newest}, look_text(newest)

    def _votes(self) -> Iterator[Document]:
        """Asked for only when somebody iterates."""
        yield from self.client.get(f"rollouts/{self.number}/approvals")["items"]

    def _heartbeat(self, rollout: Document, spoke: bool) -> None:
        """In a log: a line now and then, so that nobody takes the job for dead."""
        now = self.clock()
        if spoke or self.out.as_json:
            self._said = ("", now)
        elif now - self._said[1] >= HEARTBEAT:
            self._said = ("", now)
            here = rollout["steps"][min(rollout["step"], len(rollout["steps"]) - 1)]["description"]
            gates = f"; gates {self._look['verdict']}: {self._look['reason']}" if self._look else ""
            share = rollout["weight"]["intended"]
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self.out.event({}, line(f"{stamp} {share:>4} %  still {rollout['phase']}: {here}{gates}"))

    def _say_once(self, text: str) -> None:
        if self._said[0] != text:
            self._said = (text, self.clock())
            self.screen.height = 0
            self.out.say(text)

    def _rest(self) -> None:
        left = self.interval if self.deadline is None else min(self.interval, self.deadline - self.clock())
        self.client.rest(max(left, 0.0))

    def _timed_out(self) -> Exit:
        assert self.timeout is not None
        text = self._goes_on(f"After {span(self.timeout)} it has not ended; the rollout goes on.")
        if self.out.as_json:
            self.out.event({"event": "timeout", "exit": int(Exit.TIMED_OUT), "rollout": self.number}, text)
        else:
            self.out.say(text)
        return Exit.TIMED_OUT

    def _goes_on(self, text: str) -> str:
        return (
            f"{text} `slipway rollout watch {self.number}` follows it, "
            f"`slipway rollout abort {self.number} -m REASON` takes it back."
        )
