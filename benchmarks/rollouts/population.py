"""Any number of endpoints with an active rollout under analysis: one made by the services, then copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from registry.domain.actor import Actor
from registry.models import Model, Version
from rollouts import reconcile, services, wiring
from rollouts.adapters.memory import MemoryCluster, MemoryRouter
from rollouts.domain.plan import Analyse
from rollouts.models import Endpoint, Release, Rollout

ADA = Actor(kind="user", name="ada", id=None)
PARAMETERS: dict[str, Any] = {
    "steps": [5, 50],
    "hold_seconds": 0,
    "analyse_seconds": 86_400,
    "interval_seconds": 60,
    "gates": [{"kind": "error_rate", "name": "errors", "max": 0.02, "min_samples": 20}],
}
BATCH = 500


def template() -> Endpoint:
    """The first endpoint, at its analysis with 5 % of the traffic."""
    production = services.create_environment(name="production", actor=ADA)
    model = Model.objects.create(name="model-0", last_number=2)
    first, second = (
        Version.objects.create(model=model, number=n, digest=f"sha256:{n:064x}", size=1, format="onnx")
        for n in (1, 2)
    )
    endpoint = services.create_endpoint(name="e-0", environment=production, version=first, actor=ADA)
    _tick(endpoint, 2)
    services.start_rollout(
        endpoint=endpoint, version=second, strategy="canary", parameters=PARAMETERS, actor=ADA, reason="bench"
    )
    _tick(endpoint, 8)
    endpoint.refresh_from_db()
    assert endpoint.active is not None
    steps = endpoint.active.plan["steps"]
    assert steps[endpoint.active.step]["kind"] == Analyse.kind, endpoint.active.reason
    return endpoint


def _tick(endpoint: Endpoint, times: int) -> None:
    for _ in range(times):
        reconcile.tick(endpoint.pk, wiring.ports())


def grow(original: Endpoint, start: int, end: int) -> None:
    """Endpoints e-<start> to e-<end - 1>, like the original in the database and in the world."""
    for begin in range(start, end, BATCH):
        numbers = range(begin, min(begin + BATCH, end))
        _copy(original, list(numbers))
        for number in numbers:
            _copy_world(original.name, f"e-{number}")


def _copy(original: Endpoint, numbers: list[int]) -> None:
    models = Model.objects.bulk_create(Model(name=f"model-{number}", last_number=2) for number in numbers)
    old = Endpoint.objects.get(pk=original.pk)
    changes = {"active": None, "stable": None, "previous": None}
    endpoints = Endpoint.objects.bulk_create(
        _like(old, name=f"e-{number}", model=model, **changes)
        for number, model in zip(numbers, models, strict=True)
    )
    assert old.active is not None and old.stable is not None
    stables = _releases(old.stable, endpoints)
    candidates = _releases(old.active.candidate, endpoints)
    rollouts = Rollout.objects.bulk_create(
        _like(old.active, endpoint=endpoint, stable=stable, candidate=candidate)
        for endpoint, stable, candidate in zip(endpoints, stables, candidates, strict=True)
    )
    for endpoint, stable, rollout in zip(endpoints, stables, rollouts, strict=True):
        endpoint.stable, endpoint.active = stable, rollout
    Endpoint.objects.bulk_update(endpoints, ["stable", "active"])


def _releases(old: Release, endpoints: list[Endpoint]) -> list[Release]:
    versions = Version.objects.bulk_create(
        _like(old.version, model_id=endpoint.model_id) for endpoint in endpoints
    )
    pairs = zip(endpoints, versions, strict=True)
    return Release.objects.bulk_create(_like(old, endpoint=one, version=version) for one, version in pairs)


def _like(row: Any, **changes: Any) -> Any:
    """An unsaved row with the same values but for the changes, which name fields or their columns."""
    changed = {row._meta.get_field(name.removesuffix("_id")).attname for name in changes}
    kept = {field.attname for field in row._meta.concrete_fields if not field.primary_key} - changed
    return type(row)(**{name: getattr(row, name) for name in kept}, **changes)


def _copy_world(old: str, new: str) -> None:
    cluster, router = wiring.cluster(), wiring.router()
    assert isinstance(cluster, MemoryCluster) and isinstance(router, MemoryRouter)
    cluster.worlds[new] = replace(cluster.worlds[old], endpoint=new, model=new.replace("e-", "model-"))
    router.worlds[new] = router.effective[new] = replace(
        router.worlds[old], endpoint=new, model=new.replace("e-", "model-")
    )
