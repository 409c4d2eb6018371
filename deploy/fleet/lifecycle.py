"""What an event means for an instance: its process ended, answered a probe, or time went by.

Pure functions on `Instance`: they change its fields and say nothing to any process.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from deploy.fleet.backoff import delay, streak_after
from deploy.fleet.instance import Instance, State
from deploy.fleet.process import Exit, ProcessId

NEVER_LOADS = 3
"""The exit status of a server whose model can never be served: starting it again would change nothing."""
NOTICE_S = 0.3
"""From an instance being reported as draining to its server being told: the gateway looks every 50 ms."""
START_LIMIT_S = 120.0
SILENCE_LIMIT_S = 30.0
"""A server that was ready and gives no answer at all for this long is killed."""


@dataclass(frozen=True)
class Clock:
    """One moment: `now` on the monotonic clock, `wall` in Unix time."""

    now: float
    wall: float


class Due(StrEnum):
    """What time demands of an instance."""

    LAUNCH = "launch"
    TERMINATE = "terminate"
    KILL = "kill"


def launched(instance: Instance, process: ProcessId, port: int, errors_from: int, clock: Clock) -> None:
    """Its process was started."""
    instance.process, instance.port, instance.errors_from = process, port, errors_from
    instance.started_at, instance.healthy_at, instance.silent_at = clock.now, None, None
    instance.kill_at = None
    instance.turn(State.STARTING, instance.message, clock.wall)


def ended(instance: Instance, exit: Exit, last_line: str, file_revision: str, clock: Clock) -> None:
    """Its process ended. `last_line` is the last that it wrote on stderr."""
    if instance.state is State.DRAINING:
        instance.process = None
        return
    healthy = clock.now - instance.healthy_at if instance.healthy_at is not None else 0.0
    instance.process, instance.port = None, 0
    if exit.code == NEVER_LOADS:
        instance.failed_under = file_revision
        instance.turn(State.FAILED, last_line or str(exit), clock.wall)
        return
    instance.streak = streak_after(instance.streak, healthy)
    instance.retry_at = clock.now + delay(instance.streak)
    instance.streak += 1
    instance.restarts += 1
    reason = instance.message if instance.kill_at is not None else str(exit)
    instance.last_crash = f"{reason}: {last_line}" if last_line else reason
    instance.turn(State.BACKOFF, instance.last_crash, clock.wall)


def drain(instance: Instance, clock: Clock) -> None:
    """It gets no new requests from now on, and is told to stop when the gateway has noticed."""
    instance.terminate_at = clock.now + NOTICE_S
    instance.turn(State.DRAINING, "stopping", clock.wall)


def terminated(instance: Instance, drain_limit: float, clock: Clock) -> None:
    """It was told to stop; `drain_limit` seconds later it will be killed."""
    instance.terminate_at, instance.kill_at = None, clock.now + drain_limit


def probed(instance: Instance, ready: bool | None, message: str, clock: Clock) -> None:
    """It answered that it is `ready` or not; None means that it did not answer at all."""
    if instance.state not in (State.STARTING, State.READY):
        return
    if ready is not None:
        instance.silent_at = None
    if ready:
        if instance.healthy_at is None:
            instance.healthy_at = clock.now
        instance.turn(State.READY, instance.last_crash, clock.wall)
    elif instance.state is State.READY:
        if ready is None and instance.silent_at is None:
            # One lost probe is no reason to take a server out of rotation; two in a row are.
            instance.silent_at = clock.now
            return
        instance.turn(State.STARTING, message, clock.wall)


def due(instance: Instance, file_revision: str, clock: Clock) -> Due | None:
    """What has to be done to the instance now, if anything."""
    if instance.process is None:
        return Due.LAUNCH if _worth_launching(instance, file_revision, clock) else None
    if instance.kill_at is not None and clock.now >= instance.kill_at:
        return Due.KILL
    if instance.terminate_at is not None and clock.now >= instance.terminate_at:
        return Due.TERMINATE
    if instance.kill_at is None and instance.state is State.STARTING:
        return _overdue(instance, clock)
    return None


def _worth_launching(instance: Instance, file_revision: str, clock: Clock) -> bool:
    if instance.state is State.FAILED:
        return instance.failed_under != file_revision
    return instance.state is not State.DRAINING and clock.now >= instance.retry_at


def _overdue(instance: Instance, clock: Clock) -> Due | None:
    if instance.silent_at is not None and clock.now - instance.silent_at >= SILENCE_LIMIT_S:
        instance.message = f"gave no answer for {SILENCE_LIMIT_S:g} s"
    elif instance.healthy_at is None and clock.now - instance.started_at >= START_LIMIT_S:
        instance.message = f"not ready within {START_LIMIT_S:g} s"
    else:
        return None
    instance.kill_at = clock.now
    return Due.KILL


def gone(instances: list[Instance]) -> Iterator[Instance]:
    """The draining instances whose process has ended: nothing is left of them."""
    return (item for item in instances if item.state is State.DRAINING and item.process is None)
