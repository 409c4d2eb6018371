"""A pytest plugin that points MLflow's own client tests at a Slipway server.

The tests lie in a checkout of MLflow's repository, named by MLFLOW_REPOSITORY; see docs/mlflow.md. They start
a server with `ServerThread`, which is replaced by one that yields the address of Slipway's. Every test begins
with an empty database.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
import pytest

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


def pytest_collectstart(collector: pytest.Collector) -> None:
    utilities = sys.modules.get("tests.tracking.integration_test_utils")
    if utilities is None and isinstance(collector, pytest.Module):
        import tests.tracking.integration_test_utils as utilities
    if utilities is not None and utilities.ServerThread is not _Running:
        from mlflow.server import handlers

        utilities.ServerThread = _Running
        handlers.initialize_backend_stores = lambda *args, **kwargs: None


@pytest.fixture
def db_uri(tmp_path: Path) -> str:
    """What MLflow's own server would keep its rows in; nobody opens it."""
    return f"sqlite:///{tmp_path}/unused.db"


@pytest.fixture(autouse=True)
def slipway(tracking_uri: str) -> None:
    """The server that the test talks to; its Default experiment is there, as MLflow's is."""
    from registry.services.tracking import default_experiment

    default_experiment()
    _address.append(tracking_uri)
