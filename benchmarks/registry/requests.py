"""`python -m benchmarks.registry.requests REPETITIONS PROFILE`: requests beside a bare view."""

from __future__ import annotations

import cProfile
import itertools
import pstats
import sys
import time
from urllib.parse import quote

import django

from benchmarks.registry.measuring import Call, Client
from benchmarks.registry.population import ADMINISTRATOR

ONE, PAGE, HISTORY = 8, 25, 80
_names = (f"made-{number}" for number in itertools.count())


def _where(path: str, said: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}filter={quote(said)}"


def _search(name: str, said: str) -> Call:
    return Call(name, _where("/api/v1/versions?limit=50", said))


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
    (Call("search, 100 versions", _where("/api/v1/versions?limit=100", "metrics.auc > 0.9")), PAGE),
    (Call("list 100 audit entries", "/api/v1/audit?limit=100"), PAGE),
    (Call("10,000 metric points", "/api/v1/models/big/versions/10/metrics?name=curve&limit=10000"), HISTORY),
]  # fmt: skip
_moves = itertools.cycle((10, 20))
SCALED = [
    Call("models", "/api/v1/models?limit=50"),
    Call("models, second page", "/api/v1/models?limit=50&after=model-0000049"),
    Call("models, word that many have", "/api/v1/models?limit=50&search=thing"),
    Call("models, word that one has", "/api/v1/models?limit=50&search=a1d0c6e8"),
    Call("models, number that one has", "/api/v1/models?limit=50&search=0000042"),
    Call("models, word that none has", "/api/v1/models?limit=50&search=zebra"),
    Call("models, filter on a tag", _where("/api/v1/models?limit=15", 'tags.tier = "3"')),
    Call("models, filter on a team", _where("/api/v1/models?limit=4", 'team = "team-3"')),
    Call("models, filter on a team of none", _where("/api/v1/models?limit=50", 'team = "nobody"')),
    Call("models, filter on a creator of none", _where("/api/v1/models?limit=50", 'created_by = "nobody"')),
    Call("models, filter on a day of none", _where("/api/v1/models?limit=50", 'created < "2020-01-01"')),
    Call("one model", "/api/v1/models/model-0000042"),
    Call("versions", "/api/v1/models/big/versions?limit=50"),
    Call("versions, second page", "/api/v1/models/big/versions?limit=50&after=900"),
    Call("versions, filter on a metric", _where("/api/v1/models/big/versions?limit=5", "metrics.auc > 0.9")),
    Call(
        "versions, filter on a label of none", _where("/api/v1/models/big/versions?limit=5", 'label = "none"')
    ),
    Call("one version", "/api/v1/models/big/versions/10"),
    Call("lineage", "/api/v1/models/big/versions/150/lineage"),
    Call("aliases", "/api/v1/models/big/aliases"),
    Call("metric history", "/api/v1/models/big/versions/10/metrics?name=curve&limit=1000"),
    Call("search everything", "/api/v1/versions?limit=50"),
    _search("search a metric", "metrics.auc > 0.9"),
    _search("search a tag of a third", 'tags.stage = "prod"'),
    _search("search a tag of one", 'tags.build = "500"'),
    _search("search a tag of none", 'tags.build = "none"'),
    _search("search a commit", 'git_sha = "cee631121c2e"'),
    _search("search a metric of none", "metrics.auc > 7"),
    _search("search a parameter", "params.depth = 3"),
    _search("search a parameter of none", "params.depth = 99"),
    _search("search a label of one", 'label = "1.500.0"'),
    _search("search a label of none", 'label = "none"'),
    _search("search a format of none", 'format = "gguf"'),
    _search("search a framework of all", 'framework = "scikit-learn 1.7"'),
    _search("search a framework of none", 'framework = "torch"'),
    _search("search a creator of none", 'created_by = "nobody"'),
    _search("search a size of none", "size > 999999999"),
    _search("search a number of none", "number = 7"),
    _search("search notes of none", "notes exists"),
    _search("search a part of a commit", 'git_sha ~ "cee6311"'),
    _search("search a word of all", 'framework ~ "learn"'),
    _search("search a word of none", 'notes ~ "zebra"'),
    _search("search a day", 'created > "2020-01-01"'),
    Call("audit", "/api/v1/audit?limit=50"),
    Call("audit of a user", "/api/v1/audit?limit=20&actor=user-7"),
    Call("audit of a model", "/api/v1/audit?limit=5&target=models/model-7"),
    Call("grants", "/api/v1/grants"),
    Call("tokens", "/api/v1/tokens"),
    Call("page: models", "/models/", session=True),
    Call("page: models, search", "/models/?search=thing", session=True),
    Call("page: a model", "/models/big/", session=True),
    Call("page: a version", "/models/big/versions/10/", session=True),
    Call("page: search", _where("/versions/", "metrics.auc > 0.9"), session=True),
    Call("page: audit", "/audit/", session=True),
    Call("page: access", "/access/", session=True),
    Call("page: tokens", "/tokens/", session=True),
]


def main(repetitions: int, profile: str) -> int:
    asking = client()
    if profile:
        return _profile(asking, profile)
    _show_rest(asking, repetitions)
    return 0


def client() -> Client:
    """With an administrator's token and session."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client as Browser

    from registry import tokens
    from registry.domain.actor import SYSTEM

    settings.ROOT_URLCONF = "benchmarks.registry.urls"
    user = User.objects.get(username=ADMINISTRATOR)
    _, secret = tokens.create_token(user=user, name="bench", actor=SYSTEM)
    browser = Browser()
    browser.force_login(user)
    return Client(secret, f"sessionid={browser.cookies['sessionid'].value}")


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
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
