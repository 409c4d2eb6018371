"""SIGKILL to one's own process at a named boundary of a tick, each as often as its quota says.

What was killed is counted in files that processes share: `<boundary>-<number>` in SLIPWAY_CHAOS_KILLS.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUOTA = 22
PROBABILITY = 0.08
# The dispatcher calls hooks; each of its deaths costs a start of Django.
ANSWERED = 3
BOUNDARIES = ("observe", "decide", "record", "commit", "apply", "route", "end", "sent")
_installed = False


def kills(folder: Path) -> Counter[str]:
    """How often each boundary was hit so far."""
    return Counter(path.name.rpartition("-")[0] for path in folder.iterdir())


def boundary(name: str) -> None:
    """Perhaps the end of this process."""
    if _installed and random.random() < PROBABILITY and _within_quota(name):
        os.kill(os.getpid(), signal.SIGKILL)


def _within_quota(name: str) -> bool:
    folder = Path(os.environ["SLIPWAY_CHAOS_KILLS"])
    for number in range(ANSWERED if name == "answered" else QUOTA):
        try:
            os.close(os.open(folder / f"{name}-{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        return True
    return False


def install(**_: Any) -> None:
    """Puts a boundary before each part of the tick, before a decision's commit, after the end, and between
    the sending of a notice and its mark."""
    global _installed
    from django.db.transaction import Atomic

    from monitoring import courier
    from rollouts import reconcile, store

    for name in ("observe", "decide"):
        _before(reconcile, name)
    _before(store, "record")
    reconcile.apply = _then(_before(reconcile, "apply"), "end")
    _before(Atomic, "__exit__", "commit")
    _before(courier, "_remember", "sent")
    random.seed()
    _installed = True


def install_caller() -> None:
    """Puts a boundary between a hook's answer and its mark, for the process that calls hooks."""
    global _installed
    from rollouts import calls

    _before(calls, "_end", "answered")
    random.seed()
    _installed = True


def _before(owner: Any, attribute: str, name: str = "") -> Callable[..., Any]:
    real = getattr(owner, attribute)

    def dies(*arguments: Any, **keywords: Any) -> Any:
        boundary(name or attribute)
        return real(*arguments, **keywords)

    setattr(owner, attribute, dies)
    return dies


def _then(real: Callable[..., Any], name: str) -> Callable[..., Any]:
    def dies(*arguments: Any, **keywords: Any) -> Any:
        result = real(*arguments, **keywords)
        boundary(name)
        return result

    return dies
