"""Will it fit? How many more servers there is room for, by what nodes offer and what is taken.

Amounts are in a resource's base unit: cores, bytes, whole GPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor

GPU = "nvidia.com/gpu"
Amounts = Mapping[str, float]
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Node:
    """A node that a server may run on at all, or why it may not (`barred`)."""

    name: str
    allocatable: Amounts
    requested: Amounts = field(default_factory=dict)
    barred: str = ""

    def free(self, resource: str) -> float:
        """What nobody has asked for."""
        return max(0.0, self.allocatable.get(resource, 0) - self.requested.get(resource, 0))


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit on a namespace, with its resources named as servers ask for them."""

    name: str
    hard: Amounts
    used: Amounts


@dataclass(frozen=True, slots=True)
class Room:
    """`servers` more of them fit; `says` has the numbers, in a sentence or two."""

    servers: int
    says: str

    def fits(self, servers: int) -> bool:
        """Whether so many more fit."""
        return servers <= self.servers


def room(need: Amounts, nodes: Sequence[Node], quotas: Iterable[Quota] = ()) -> Room:
    """For servers that need `need` each: the sum over nodes, or what the tightest quota leaves.

    A server is never spread over nodes, so each node's remainder is lost. Affinity is not looked at.
    """
    usable = [node for node in nodes if not node.barred]
    by_node = {node.name: _times(need, {name: node.free(name) for name in need}) for node in usable}
    servers = sum(by_node.values())
    says = [f"Room for {servers} more of {_amounts(need)} each on {len(usable)} of {len(nodes)} nodes."]
    if GPU in need and usable:
        free, all_of_them = (sum(map(count, usable)) for count in (_free_gpus, _gpus))
        says.append(f"{free:g} of {all_of_them:g} GPUs are free.")
    says += [f"{node.name}: {node.barred}." for node in nodes if node.barred][:3]
    for quota in quotas:
        named = {name: amount for name, amount in need.items() if name in quota.hard}
        left = {name: max(0.0, quota.hard[name] - quota.used.get(name, 0)) for name in named}
        most = _times(named, left) if named else servers
        if most < servers:
            servers = most
            says.append(f"Quota {quota.name} leaves {_amounts(left)}: {most} more.")
    return Room(servers, " ".join(says))


def _times(need: Amounts, left: Amounts) -> int:
    # Sums of decimal fractions are not exact: 0.3 / 0.1 must be 3.
    return min((floor(left[name] / amount + 1e-9) for name, amount in need.items() if amount), default=0)


def _free_gpus(node: Node) -> float:
    return node.free(GPU)


def _gpus(node: Node) -> float:
    return node.allocatable.get(GPU, 0)


def _amounts(amounts: Amounts) -> str:
    said = {
        "cpu": "{:g} cores",
        "memory": "{:.3g} GiB",
        GPU: "{:g} GPU",
        "pods": "{:g} pods",
    }
    return ", ".join(
        said.get(name, f"{{:g}} {name}").format(amount / _GIB if name == "memory" else amount)
        for name, amount in sorted(amounts.items())
        if name != "pods" or len(amounts) == 1
    )
