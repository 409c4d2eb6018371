"""`python -m tests.chaos.scenario ROLLOUTS REPORT`: starts rollouts, waits for their ends, writes a report.

Runs beside the workers as one more process, as a web process would.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import django

PARAMETERS: dict[str, Any] = {
    "steps": [5, 50],
    "hold_seconds": 0,
    "analyse_seconds": 1,
    "interval_seconds": 1,
    # Beyond every outage and every jump of a clock: nobody is there to be asked.
    "deadline_seconds": 86_400,
    "gates": [{"kind": "error_rate", "name": "errors", "max": 0.05, "min_samples": 20}],
}

# Asked of what gets so far, told of every end.
HOOKS: dict[str, list[str]] = {"good": ["promotion", "end"], "bad": ["rollback", "end"]}


def main(count: int, report: Path) -> None:
    """Everything from the first endpoint to the report."""
    started = _start(count)
    report.with_suffix(".started").touch()
    while _active():
        _abort_exposed()
        time.sleep(0.5)
    report.write_text(json.dumps([_told(rollout) for rollout in started]))


def _start(count: int) -> list[int]:
    from registry.domain.actor import Actor
    from rollouts import services
    from tests.chaos.world import ENDINGS

    ada = Actor(kind="user", name="ada", id=None)
    _add_chat(ada)
    environment = services.create_environment(name="production", actor=ada)
    started = []
    for number, kind in enumerate(islice(cycle(ENDINGS), count)):
        first, second = _versions(f"model-{number}")
        endpoint = services.create_endpoint(
            name=f"{kind}-{number}", environment=environment, version=first, actor=ada
        )
        rollout = services.start_rollout(
            endpoint=endpoint,
            version=second,
            strategy="canary",
            parameters={**PARAMETERS, **_hooks(kind)},
            actor=ada,
            reason="chaos",
        )
        started.append(rollout.pk)
    return started


def _add_chat(actor: Any) -> None:
    """The chat of the tests is told of everything, and a hook listens beside it."""
    from monitoring import notices, wiring
    from rollouts import hooks

    if url := os.environ.get("SLIPWAY_CHAOS_CHAT"):
        notices.add_target(name="chat", url=url, notifier=wiring.notifier(), actor=actor)
        hooks.add_webhook(name="gate", url=f"{url.replace('json:', 'http:')}gate", actor=actor)


def _hooks(kind: str) -> dict[str, Any]:
    """The hooks that a rollout of this kind names, where somebody listens."""
    if kind not in HOOKS or not os.environ.get("SLIPWAY_CHAOS_CHAT"):
        return {}
    return {"hooks": [{"name": "gate", "on": HOOKS[kind]}]}


def _versions(name: str) -> list[Any]:
    from registry.models import Model, Version

    model = Model.objects.create(name=name, last_number=2)
    return [
        Version.objects.create(model=model, number=n, digest=f"sha256:{n:064x}", size=10, format="onnx")
        for n in (1, 2)
    ]


def _active() -> bool:
    from rollouts.domain.phases import TERMINAL
    from rollouts.models import Rollout

    return Rollout.objects.exclude(phase__in=sorted(TERMINAL)).exists()


def _abort_exposed() -> None:
    """A person stops what is named so, once it has traffic."""
    from registry.domain.actor import Actor
    from rollouts import services
    from rollouts.models import Rollout

    exposed = Rollout.objects.filter(endpoint__name__startswith="abort-", phase="progressing", step__gte=1)
    for rollout in exposed:
        services.abort(rollout=rollout, actor=Actor(kind="user", name="eve", id=None), reason="complaints")


def _told(pk: int) -> dict[str, Any]:
    from rollouts.models import Rollout

    rollout = Rollout.objects.select_related("endpoint__stable__version").get(pk=pk)
    fields = ("number", "from_phase", "to_phase", "step", "weight", "actor")
    return {
        "id": rollout.pk,
        "endpoint": rollout.endpoint.name,
        "generation": rollout.endpoint.generation,
        "stable": rollout.endpoint.stable.version.ref,
        "phase": rollout.phase,
        "reason": rollout.reason,
        "looks": [rollout.looks, list(rollout.look_log.order_by("number").values_list("number", flat=True))],
        "transitions": list(rollout.transitions.order_by("number").values(*fields)),
    }


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), Path(sys.argv[2]))
