"""What to start and what to stop, given what should run and what does. Pure functions.

Servers of a workload whose revision differs from the wanted one are replaced one by one: one more
than wanted may run at a time, and none that is ready is stopped before a new one is ready.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.fleet.instance import Instance, State
from deploy.fleet.spec import Workload

SURGE = 1


@dataclass(frozen=True)
class Start:
    """Start a server of `workload` as instance number `index`."""

    workload: Workload
    index: int


@dataclass(frozen=True)
class Stop:
    """Take `instance` out of rotation and end it."""

    instance: Instance


Action = Start | Stop


def plan(workloads: Mapping[tuple[str, str], Workload], instances: Iterable[Instance]) -> list[Action]:
    """The actions that bring `instances` nearer to `workloads`, stops first."""
    living: dict[tuple[str, str], list[Instance]] = {}
    for instance in instances:
        living.setdefault(instance.key, []).append(instance)
    actions: list[Action] = []
    for key in sorted(workloads.keys() | living.keys()):
        actions += _plan_one(workloads.get(key), living.get(key, []))
    return sorted(actions, key=lambda action: isinstance(action, Start))


def _plan_one(workload: Workload | None, instances: Sequence[Instance]) -> list[Action]:
    staying = [instance for instance in instances if instance.state is not State.DRAINING]
    if workload is None or workload.replicas == 0:
        return [Stop(instance) for instance in staying]
    revision = workload.revision
    new = [instance for instance in staying if instance.revision == revision]
    old = [instance for instance in staying if instance.revision != revision]
    stops = _surplus(new, workload.replicas) + _replaceable(old, new, workload.replicas)
    room = workload.replicas + (SURGE if old else 0) - len(new) - len(old) + len(stops)
    missing = min(workload.replicas - len(new), room)
    return [*map(Stop, stops), *_starts(workload, missing, instances)]


def _surplus(new: Sequence[Instance], replicas: int) -> list[Instance]:
    """The instances beyond `replicas`: unready ones first, then those of the highest numbers."""
    ranked = sorted(new, key=lambda instance: (instance.state is not State.READY, instance.index))
    return ranked[replicas:]


def _replaceable(old: Sequence[Instance], new: Sequence[Instance], replicas: int) -> list[Instance]:
    """The old instances that may go: all that serve nobody, and ready ones that new ones stand in for."""
    idle = [instance for instance in old if instance.state is not State.READY]
    serving = [instance for instance in old if instance.state is State.READY]
    ready = sum(instance.state is State.READY for instance in new)
    keep = max(0, replicas - ready)
    return idle + serving[keep:]


def _starts(workload: Workload, count: int, instances: Sequence[Instance]) -> list[Start]:
    taken = {instance.index for instance in instances}
    free = (index for index in range(len(taken) + max(count, 0)) if index not in taken)
    return [Start(workload, index) for index, _ in zip(free, range(count), strict=False)]
