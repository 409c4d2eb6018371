"""The fixed cast of users, a store in a temporary folder, and models to register."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from registry import services, tokens
from registry.adapters.filesystem import FilesystemStore
from registry.domain.actor import SYSTEM
from registry.domain.draft import VersionDraft
from registry.domain.roles import Role
from registry.identity import grant
from registry.inspect.sandbox import inspect_file
from registry.tests import onnx_files

CAST = {
    "viewer": Role.VIEWER,
    "engineer": Role.ENGINEER,
    "manager": Role.RELEASE_MANAGER,
    "admin": Role.ADMIN,
    "outsider": None,
}


_inspected = {}


def _content(path):
    if path.is_dir():
        return tuple(
            (str(file.relative_to(path)), file.read_bytes())
            for file in sorted(path.rglob("*"))
            if file.is_file()
        )
    return path.read_bytes()


def _inspect_once(path, *, reference=None, feature_names=(), filename="", limits=None, tell=None):
    """The real inspection, run once per distinct input of the session: it is a process each time."""
    key = _content(path), reference and reference.read_bytes(), tuple(feature_names), filename
    if key not in _inspected:
        _inspected[key] = inspect_file(
            path, reference=reference, feature_names=feature_names, filename=filename, limits=limits
        )
    return copy.deepcopy(_inspected[key])


@pytest.fixture(autouse=True)
def remembered_inspections(monkeypatch):
    for module in ("versions", "intake", "baselines"):
        monkeypatch.setattr(f"registry.services.{module}.inspect_file", _inspect_once)


@pytest.fixture
def store(tmp_path, settings):
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "artifacts"
    return FilesystemStore()


@pytest.fixture
def cast(db):
    users = {}
    for name, role in CAST.items():
        users[name] = User.objects.create(username=name, password="!")
        grant(users[name], role)
    return users


@pytest.fixture
def api(cast, store):
    """`api("engineer")`: a client with that user's token; `api(None)`: nobody."""

    def make(name):
        client = APIClient(raise_request_exception=False)
        if name is not None:
            _, secret = tokens.create_token(user=cast[name], name="test", actor=SYSTEM)
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        return client

    return make


@pytest.fixture
def web(cast, store):
    """`web("engineer")`: a signed-in browser; `web(None)`: nobody."""

    def make(name):
        client = Client(raise_request_exception=False)
        if name is not None:
            client.force_login(cast[name])
        return client

    return make


@pytest.fixture
def onnx_path(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_files.linear().SerializeToString())
    return path


@pytest.fixture
def reference_path(tmp_path):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(100, 3)).astype(np.float32)
    path = tmp_path / "reference.npz"
    path.write_bytes(onnx_files.reference(X=X, y=X.sum(axis=1)))
    return path


@pytest.fixture
def model(db):
    return services.create_model(name="churn", owner_team="growth", actor=SYSTEM)


@pytest.fixture
def version(model, store, onnx_path, reference_path):
    return services.register_version(
        model=model,
        artifact=onnx_path,
        reference=reference_path,
        store=store,
        actor=SYSTEM,
        draft=VersionDraft.parse(
            {
                "label": "1.0.0",
                "metrics": {"rmse": 2.0, "auc": 0.8},
                "feature_names": ["age", "spend", "visits"],
            }
        ),
    )
