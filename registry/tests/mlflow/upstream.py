"""A pytest plugin that points MLflow's own client tests at a Slipway server; `test_upstream` runs them.

The tests lie in a checkout of MLflow's repository. They start a server with `ServerThread` or `_init_server`,
which are replaced by what yields the address of Slipway's. Every test begins with an empty database, and
requests that a test makes by itself get a token, since MLflow's server wants none.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
import requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup()
pytest_plugins = ("registry.tests.conftest", "registry.tests.mlflow.conftest")
_address: list[str] = []


class _Running:
    """Stands in for MLflow's own server."""

    def __init__(self, *_: object) -> None:
        self.url = _address[-1]

    def __enter__(self) -> str:
        return self.url

    def __exit__(self, *_: object) -> None:
        return None


@contextlib.contextmanager
def _running(*_: object, **__: object) -> Iterator[str]:
    yield _address[-1]


def pytest_collectstart(collector: pytest.Collector) -> None:
    utilities = sys.modules.get("tests.tracking.integration_test_utils")
    if utilities is None and isinstance(collector, pytest.Module):
        import tests.tracking.integration_test_utils as utilities
    if utilities is not None and utilities.ServerThread is not _Running:
        from mlflow.server import handlers

        utilities.ServerThread = _Running
        utilities._init_server = _running
        handlers.initialize_backend_stores = lambda *args, **kwargs: None


@pytest.fixture
def db_uri(tmp_path: Path) -> str:
    """What MLflow's own server would keep its rows in; nobody opens it."""
    return f"sqlite:///{tmp_path}/unused.db"


@pytest.fixture(autouse=True)
def slipway(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server that the test talks to; its Default experiment is there, as MLflow's is."""
    from registry.services.tracking import default_experiment

    default_experiment()
    _address.append(tracking_uri)
    plain, token = requests.Session.prepare_request, os.environ["MLFLOW_TRACKING_TOKEN"]

    def prepared(session: requests.Session, request: requests.Request) -> requests.PreparedRequest:
        made = plain(session, request)
        if (made.url or "").startswith(tracking_uri):
            made.headers.setdefault("Authorization", f"Bearer {token}")
        return made

    monkeypatch.setattr(requests.Session, "prepare_request", prepared)
