"""Releasing one model over REST, as a CI job would: champion, then each candidate through a canary.

Every step looks before it acts, so it may be stopped and started at any point: what exists is left alone,
a rollout that runs is followed, and the next release starts when the one before it has ended.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api import Api, ApiError, Result, persist
from .canary import CANARY, ENVIRONMENT

Document = dict[str, Any]
PATIENCE = 600.0
POLL_SECONDS = 1.0
# Between two releases of a model, so that people can look at what the last one did.
REST_SECONDS = 10.0
CONFLICT = 409


class Stopped(Exception):
    """The director was told to stop."""


def say(line: str) -> None:
    """One progress line; the whole line in one write, because two releases run at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


@dataclass
class Release:
    """Releases one model: champion first, then each candidate through a canary rollout.

    `ci` is the token of an engineer; `admin` is used for the environment and the endpoint only.
    """

    folder: Path
    model: Document
    ci: Api
    admin: Api
    stopped: threading.Event
    told: str = ""

    @property
    def name(self) -> str:
        return str(self.model["name"])

    @property
    def endpoint(self) -> str:
        return str(self.model["endpoint"])

    def run(self) -> dict[str, str]:
        """Do whatever is left to do; returns the phase in which each candidate's rollout ended."""
        champion, *candidates = self.model["versions"]
        self._persist(self._ensure_model)
        number = self._persist(lambda: self._ensure_version(champion))
        self._persist(lambda: self._ensure_endpoint(number))
        self._until(self._is_live, f"{self.endpoint} is live with v{number}")
        return {item["name"]: self._release(item) for item in candidates}

    def _release(self, item: Document) -> str:
        number = self._persist(lambda: self._ensure_version(item))
        rollout = self._persist(lambda: self._rollout_of(number))
        if rollout is None:
            self._rest(REST_SECONDS)
            rollout = self._until(lambda: self._start_rollout(item, number))
        ended = self._follow(rollout["id"], number) if rollout["active"] else rollout
        say(f"{self.name} v{number}: {ended['phase'].replace('_', ' ')}")
        return str(ended["phase"])

    def _ensure_model(self) -> None:
        if self.ci.find(f"models/{self.name}") is None:
            fields = ("name", "owner_team", "description")
            self.ci.post(
                "models", {field: self.model[field] for field in fields} | {"tags": {"source": "demo"}}
            )
            say(f"{self.name}: model created")

    def _ensure_version(self, item: Document) -> int:
        metadata = item["metadata"]
        for version in self.ci.items(f"models/{self.name}/versions", cursor="before"):
            if version["label"] == metadata["label"]:
                return int(version["number"])
        files = {"artifact": self.folder / item["artifact"], "reference": self.folder / item["reference"]}
        version = self.ci.upload(f"models/{self.name}/versions", metadata, files)
        say(f"{self.name} v{version['number']}: {item['name']} uploaded, {_scores(metadata)}")
        return int(version["number"])

    def _ensure_endpoint(self, number: int) -> None:
        environments = self.admin.get("environments")["items"]
        if ENVIRONMENT not in {environment["name"] for environment in environments}:
            self._unless_there(lambda: self.admin.post("environments", {"name": ENVIRONMENT}))
        if self.ci.find(f"endpoints/{self.endpoint}") is None:
            document = {"name": self.endpoint, "model": self.name, "environment": ENVIRONMENT}
            reason = "First version of the model."
            self.admin.post("endpoints", document | {"version": number, "replicas": 1, "reason": reason})
            say(f"{self.name}: endpoint {self.endpoint} created")

    def _unless_there(self, create: Callable[[], object]) -> None:
        try:
            create()
        except ApiError as error:
            # The other model's release made it in the meantime.
            if error.status != CONFLICT:
                raise

    def _is_live(self) -> bool:
        endpoint = self.ci.get(f"endpoints/{self.endpoint}")
        weights = (endpoint["observed"] or {}).get("weights") or {}
        return bool(sum(weights.values()) == 100)

    def _rollout_of(self, number: int) -> Document | None:
        """The newest rollout of a version, if there is one."""
        rollouts = self.ci.items("rollouts", cursor="before", endpoint=self.endpoint)
        return next((rollout for rollout in rollouts if rollout["candidate"] == number), None)

    def _start_rollout(self, item: Document, number: int) -> Document | None:
        """A new rollout, or the one that an unanswered request started; None while another one runs."""
        if rollout := self._rollout_of(number):
            return rollout
        request = {
            "endpoint": self.endpoint,
            "version": number,
            "strategy": "canary",
            "parameters": CANARY,
            "reason": f"{item['metadata']['notes']} Held-out rows: {_scores(item['metadata'])}.",
        }
        try:
            rollout = self.ci.post("rollouts", request)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            self._tell(f"waiting to release v{number}: {error}")
            return None
        say(f"{self.name} v{number}: canary started, rollout {rollout['id']}")
        return rollout

    def _follow(self, rollout_id: int, number: int) -> Document:
        """Print what happens until the rollout has ended."""
        told = 0

        def look() -> Document | None:
            nonlocal told
            rollout = self.ci.get(f"rollouts/{rollout_id}")
            for move in self._moves(rollout_id, told):
                told = move["number"]
                say(f"{self.name} v{number}: {move['weight']:>3} % {move['to_phase']}: {move['reason']}")
            return None if rollout["active"] else rollout

        ended: Document = self._until(look)
        return ended

    def _moves(self, rollout_id: int, after: int) -> Iterator[Document]:
        yield from self.ci.items(f"rollouts/{rollout_id}/transitions", cursor="after", after=after)

    def _tell(self, line: str) -> None:
        """Say something that stays true for a while, once."""
        if line != self.told:
            say(f"{self.name}: {line}")
        self.told = line

    def _persist(self, work: Callable[[], Result]) -> Result:
        """Wait out a server that cannot answer, unless told to stop meanwhile."""
        return persist(work, PATIENCE, rest=self._rest)

    def _rest(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise Stopped

    def _until(self, look: Callable[[], Any], done: str = "") -> Any:
        """Poll until `look` finds something; `done` is said then."""
        while True:
            found = self._persist(look)
            if found:
                if done:
                    say(f"{self.name}: {done}")
                return found
            self._rest(POLL_SECONDS)


def _scores(metadata: Document) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metadata["metrics"].items())
