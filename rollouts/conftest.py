"""Fixtures of the rollouts' tests: a fixed cast of people, two versions of a model, a world in memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.test import Client

from monitoring.adapters.memory import MemorySource
from registry.adapters.memory import MemoryStore
from registry.domain.actor import Actor
from registry.models import Model, Version
from registry.tests.people import people
from rollouts import services
from rollouts.adapters.memory import MemoryCluster, MemoryRouter
from rollouts.reconcile import Ports
from rollouts.tests.web_cast import SignIn, sign_in
from tests.receiver import Receiver

__all__ = ["as_user", "author", "endpoint", "people", "ports", "receiver", "versions"]
PROFILE = {
    "schema": 1,
    "rows": 4,
    "inputs": [],
    "outputs": [
        {"name": "y", "tensor": "y", "column": 0, "kind": "numeric", "edges": [1.0, 2.0], "counts": [1, 2, 1]}
    ],
}


@pytest.fixture
def author() -> Actor:
    """The engineer who starts rollouts."""
    return Actor(kind="user", name="ada", id=None)


@pytest.fixture
def versions(db) -> list[Version]:
    """Versions 1 to 3 of the model `churn`."""
    model = Model.objects.create(name="churn", last_number=3)
    return [
        Version.objects.create(
            model=model, number=n, digest=f"sha256:{n:064x}", size=10, format="onnx", profile=PROFILE
        )
        for n in (1, 2, 3)
    ]


@pytest.fixture
def endpoint(versions, author):
    """`churn-production`, serving version 1."""
    production = services.create_environment(name="production", actor=author)
    return services.create_endpoint(
        name="churn-production", environment=production, version=versions[0], actor=author
    )


@pytest.fixture
def ports() -> Ports:
    """A world in memory that obeys at once."""
    return Ports(
        cluster=MemoryCluster(), router=MemoryRouter(), metrics=MemorySource(), artifacts=_Anywhere()
    )


@pytest.fixture
def as_user(client: Client, db: None) -> SignIn:
    """Signs the test's client in as the user named after a role."""
    return partial(sign_in, client)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A server that takes what is sent out; it may be called though it is on loopback."""
    settings.SLIPWAY_OUTBOUND_ALLOW = ["127.0.0.1"]
    with Receiver() as receiver:
        yield receiver


class _Anywhere(MemoryStore):
    """Every digest can be fetched, so that no test needs real artifacts."""

    def path_or_uri(self, digest: str) -> str:
        return f"memory:{digest}"
