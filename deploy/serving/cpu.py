"""How many CPUs this process may use: a container's limit, not the host's count."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def cpu_limit(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Whole CPUs available: the least of the affinity mask and every cgroup (v1, v2) quota above us."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota(cgroups, membership)
    return max(1, min(available, math.ceil(quota))) if quota else available


def cgroup_quota(cgroups: Path, membership: Path) -> float | None:
    """CPUs the cgroup may use, fractional; None when there is no quota."""
    quotas = [_v2(folder) for folder in _folders(cgroups, _own_path(membership, ""))]
    own = _own_path(membership, "cpu")
    for mount in ("cpu,cpuacct", "cpuacct,cpu", "cpu"):
        quotas += [_v1(folder) for folder in _folders(cgroups / mount, own)]
    found = [quota for quota in quotas if quota]
    return min(found) if found else None


def _own_path(membership: Path, controller: str) -> str:
    """Our cgroup below the mount; `controller` is empty for the v2 hierarchy."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.strip("/")
    return ""


def _folders(mount: Path, own: str) -> list[Path]:
    """The mount and every folder down to our own: a quota anywhere above binds too.

    Inside a container the path may be the host's while the mount shows only our part; folders that
    are not there are skipped by the readers.
    """
    parts = [part for part in own.split("/") if part not in ("", "..")]
    return [mount.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]


def _v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None
