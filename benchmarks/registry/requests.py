"""`python -m benchmarks.registry.requests SIZE REPETITIONS PROFILE`: requests beside a bare view."""

from __future__ import annotations

import cProfile
import itertools
import pstats
import sys
import time
from typing import Any

import django

from benchmarks.registry.measuring import Call, Client

ONE, PAGE, HISTORY = 8, 25, 80
_names = (f"made-{number}" for number in itertools.count())
FILTER = "metrics.auc%20%3E%200.9"

# The row, and the multiple of the bare view that it may cost.
REST: list[tuple[Call, int]] = [
    (Call("get a model", "/api/v1/models/big"), ONE),
    (Call("get a version", "/api/v1/models/big/versions/10"), ONE),
    (Call("get an alias", "/api/v1/models/big/aliases/champion"), ONE),
    (Call("create a model", "/api/v1/models", "POST", lambda: {"name": next(_names)}), ONE),
    (
        Call(
            "append a metric point", "/api/v1/models/big/versions/10/metrics", "POST",
            lambda: {"points": [{"name": "auc", "value": 0.5}]},
        ),
        ONE,
    ),
    (Call("move an alias", "/api/v1/models/big/aliases/moving", "PUT",
          lambda: {"version": next(_moves)}), ONE),
    (Call("list 100 models", "/api/v1/models?limit=100"), PAGE),
    (Call("list 100 versions", "/api/v1/models/big/versions?limit=100"), PAGE),
    (Call("search, 100 versions", f"/api/v1/versions?limit=100&filter={FILTER}"), PAGE),
    (Call("list 100 audit entries", "/api/v1/audit?limit=100"), PAGE),
    (Call("10,000 metric points", "/api/v1/models/big/versions/10/metrics?name=curve&limit=10000"), HISTORY),
]  # fmt: skip
_moves = itertools.cycle((10, 20))
SCALED = [
    Call("models", "/api/v1/models?limit=50"),
    Call("models, second page", "/api/v1/models?limit=50&after=model-0000049"),
    Call("models, word that many have", "/api/v1/models?limit=50&search=thing"),
    Call("models, word that one has", "/api/v1/models?limit=50&search=model-0000042"),
    Call("models, word that none has", "/api/v1/models?limit=50&search=zebra"),
    Call("models, filter on a tag", "/api/v1/models?limit=15&filter=tags.tier%20%3D%20%223%22"),
    Call("models, filter on a team", "/api/v1/models?limit=4&filter=team%20%3D%20%22team-3%22"),
    Call("models, filter on a team of none", "/api/v1/models?limit=50&filter=team%20%3D%20%22nobody%22"),
    Call("one model", "/api/v1/models/model-0000042"),
    Call("versions", "/api/v1/models/big/versions?limit=50"),
    Call("versions, second page", "/api/v1/models/big/versions?limit=50&after=900"),
    Call("versions, filter on a metric", f"/api/v1/models/big/versions?limit=5&filter={FILTER}"),
    Call("one version", "/api/v1/models/big/versions/10"),
    Call("lineage", "/api/v1/models/big/versions/150/lineage"),
    Call("aliases", "/api/v1/models/big/aliases"),
    Call("metric history", "/api/v1/models/big/versions/10/metrics?name=curve&limit=1000"),
    Call("search everything", "/api/v1/versions?limit=50"),
    Call("search a metric", f"/api/v1/versions?limit=50&filter={FILTER}"),
    Call("search a tag of a third", "/api/v1/versions?limit=50&filter=tags.stage%20%3D%20%22prod%22"),
    Call("search a tag of one", "/api/v1/versions?limit=50&filter=tags.build%20%3D%20%22500%22"),
    Call("search a tag of none", "/api/v1/versions?limit=50&filter=tags.build%20%3D%20%22none%22"),
    Call("search a commit", "/api/v1/versions?limit=50&filter=git_sha%20%3D%20%220000000001f4%22"),
    Call("search a metric of none", "/api/v1/versions?limit=50&filter=metrics.auc%20%3E%207"),
    Call("search a parameter", "/api/v1/versions?limit=50&filter=params.depth%20%3D%203"),
    Call("search a parameter of none", "/api/v1/versions?limit=50&filter=params.depth%20%3D%2099"),
    Call("search a day", "/api/v1/versions?limit=50&filter=created%20%3E%20%222020-01-01%22"),
    Call("audit", "/api/v1/audit?limit=50"),
    Call("audit of a user", "/api/v1/audit?limit=20&actor=user-7"),
    Call("audit of a model", "/api/v1/audit?limit=5&target=models/model-7"),
    Call("grants", "/api/v1/grants"),
    Call("tokens", "/api/v1/tokens"),
    Call("page: models", "/models/", session=True),
    Call("page: models, search", "/models/?search=thing", session=True),
    Call("page: a model", "/models/big/", session=True),
    Call("page: a version", "/models/big/versions/10/", session=True),
    Call("page: search", f"/versions/?filter={FILTER}", session=True),
    Call("page: audit", "/audit/", session=True),
    Call("page: access", "/access/", session=True),
    Call("page: tokens", "/tokens/", session=True),
]


def main(size: int, repetitions: int, profile: str) -> int:
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.registry.population import grow

    call_command("migrate", verbosity=0)
    client = _client()
    grow(0, size)
    connection.close()
    if profile:
        return _profile(client, profile)
    _show_rest(client, repetitions)
    return 0


def _client() -> Client:
    """An administrator's token and session, and a version of the model `big` with everything there is."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client as Browser

    from benchmarks.registry.population import BIG, history
    from registry import services, tokens
    from registry.domain.actor import SYSTEM
    from registry.domain.roles import Role
    from registry.identity import grant
    from registry.models import Version

    settings.ROOT_URLCONF = "benchmarks.registry.urls"
    user = User.objects.create(username="bench")
    grant(user, Role.ADMIN)
    _, secret = tokens.create_token(user=user, name="bench", actor=SYSTEM)
    model = services.create_model(name=BIG, owner_team="growth", actor=SYSTEM)
    rows = [
        Version.objects.create(model=model, number=number, **_DETAILS, digest=f"sha256:{number:064x}")
        for number in (10, 20)
    ]
    services.set_alias(model=model, name="champion", version=rows[0], actor=SYSTEM)
    history(rows[0].pk)
    browser = Browser()
    browser.force_login(user)
    return Client(secret, f"sessionid={browser.cookies['sessionid'].value}")


_PROFILE = {
    "schema": 1, "rows": 1000,
    "inputs": [{"name": f"f{n}", "tensor": "X", "column": n, "kind": "numeric",
                "edges": [float(e) for e in range(9)], "counts": [100] * 10,
                "min": -1.0, "max": 9.0, "missing": 0} for n in range(20)],
    "outputs": [],
}  # fmt: skip
_DETAILS: dict[str, Any] = {
    "size": 1_000_000, "filename": "model.onnx", "format": "onnx", "framework": "scikit-learn 1.7",
    "feature_names": [f"f{n}" for n in range(20)], "profile": _PROFILE,
    "signature": {"inputs": [{"name": "X", "dtype": "float32", "shape": [None, 20]}],
                  "outputs": [{"name": "y", "dtype": "float32", "shape": [None, 1]}]},
    "inspection": {"opsets": {"ai.onnx": 17}, "operators": {"Gemm": 3, "Relu": 2}, "parameters": 12345},
    "hyperparameters": {"depth": 7, "lr": 0.1}, "tags": {"stage": "dev"}, "git_sha": "abcdef123456",
}  # fmt: skip


def _show_rest(client: Client, repetitions: int) -> None:
    bare = client.cost(Call("bare", "/bare"), 4 * repetitions)
    counted = client.cost(Call("bare", "/api/bare"), 4 * repetitions)
    print(
        f"bare Django JSON view, same middleware: {bare.total:.0f} µs of CPU; "
        f"with rate limits: {counted.total:.0f} µs"
    )
    print("| request | server µs | database µs | queries | bytes | × bare view | target | |")
    print("|---|---|---|---|---|---|---|---|")
    for call, target in REST:
        cost = client.cost(call, repetitions)
        times = cost.times
        met = "met" if times <= target else "missed"
        print(f"| {call.name} | {cost.server:,.0f} | {cost.database:,.0f} | {cost.queries} | {cost.size:,} "
              f"| {times:.1f} | {target} | {met} |", flush=True)  # fmt: skip


def _profile(client: Client, name: str) -> int:
    call = next(call for call in [*(call for call, _ in REST), *SCALED] if call.name == name)
    client.send(call)
    with cProfile.Profile(time.process_time) as recorder:
        for _ in range(200):
            client.send(call)
    pstats.Stats(recorder).sort_stats("tottime").print_stats(35)
    return 0


if __name__ == "__main__":
    django.setup()
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
