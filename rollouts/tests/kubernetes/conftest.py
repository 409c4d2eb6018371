"""A cluster in this process, and a namespace of it under watch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rollouts.adapters.kubernetes.seen import Namespace
from rollouts.tests.kubernetes.stand_in import Cluster, running


@pytest.fixture
def kube() -> Cluster:
    """The stand-in for the API server."""
    return Cluster()


@pytest.fixture
def namespace(kube: Cluster) -> Iterator[Namespace]:
    """What the adapters see of it."""
    with running(kube) as (namespace, _, _):
        yield namespace
