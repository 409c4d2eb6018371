"""One server process of one version through its life: starting, ready, draining, backoff, failed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deploy.fleet.process import ProcessId


class State(StrEnum):
    """What `fleet/status.json` says of an instance; only `ready` ones get requests."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    BACKOFF = "backoff"
    FAILED = "failed"


@dataclass
class Instance:
    """A slot for one process; it outlives the process when that crashes.

    Times whose name ends in `_at` are on the monotonic clock, in seconds; `since` is Unix time.
    """

    endpoint: str
    model: str
    version: str
    digest: str
    revision: str
    index: int
    state: State = State.STARTING
    since: float = 0.0
    port: int = 0
    process: ProcessId | None = None
    restarts: int = 0
    streak: int = 0
    message: str = ""
    last_crash: str = ""
    errors_from: int = 0
    """Where this process's lines begin in the instance's stderr file, in bytes."""
    failed_under: str = ""
    """The revision of the desired file under which it failed; another one is worth a new attempt."""
    started_at: float = 0.0
    healthy_at: float | None = None
    silent_at: float | None = None
    retry_at: float = 0.0
    terminate_at: float | None = None
    kill_at: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """(endpoint, version): the workload it belongs to."""
        return self.endpoint, self.version

    @property
    def name(self) -> str:
        """Unique among the instances that live, and stable across restarts of the process."""
        return f"{self.endpoint}-{self.version}-{self.index}"

    def turn(self, state: State, message: str, wall: float) -> None:
        """Enter `state`; `since` moves only when the state really changes."""
        if state != self.state:
            self.state, self.since = state, wall
        self.message = message


SAVED = (
    "endpoint", "model", "version", "digest", "revision", "index", "since", "port", "restarts",
    "streak", "message", "last_crash", "errors_from", "failed_under",
)  # fmt: skip


def save(instance: Instance) -> dict[str, Any]:
    """What the next fleet needs to know in order to adopt the instance."""
    process = instance.process
    identity = {"pid": process.pid, "created": process.created} if process else None
    return {name: getattr(instance, name) for name in SAVED} | {"state": instance.state, "process": identity}


def load(document: dict[str, Any], now: float) -> Instance:
    """The instance that `save` described. Raises KeyError, TypeError, ValueError when it did not."""
    process = document["process"]
    return Instance(
        **{name: document[name] for name in SAVED},
        state=State(document["state"]),
        process=ProcessId(int(process["pid"]), float(process["created"])) if process else None,
        started_at=now,
        retry_at=now,
        # A draining one was told to the gateway by the fleet before this one.
        terminate_at=now if document["state"] == State.DRAINING else None,
    )
