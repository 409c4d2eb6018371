"""After a restore, artifacts that are gone or altered are named."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from registry import services
from registry.domain.actor import SYSTEM
from registry.management.commands import verify_artifacts
from registry.tests import onnx_files

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_store(monkeypatch, store):
    monkeypatch.setattr(verify_artifacts, "artifact_store", lambda: store)


@pytest.fixture
def version(model, store, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_files.linear().SerializeToString())
    return services.register_version(model=model, artifact=path, store=store, actor=SYSTEM)


@pytest.fixture
def folder(model, store, tmp_path):
    place = tmp_path / "folder"
    place.mkdir()
    (place / "model.onnx").write_bytes(onnx_files.linear(weight=2).SerializeToString())
    return services.register_version(model=model, artifact=place, store=store, actor=SYSTEM)


def verify():
    out, err = StringIO(), StringIO()
    try:
        call_command("verify_artifacts", stdout=out, stderr=err)
    except CommandError as error:
        return str(error), err.getvalue()
    return out.getvalue(), err.getvalue()


def test_whole_artifacts_are_counted_files_of_folders_too(version, folder):
    assert verify() == ("All 2 artifacts are whole.\n", "")


def test_a_lost_artifact_is_named(version, store):
    store.delete(version.digest)
    said, named = verify()
    assert said == "1 of 1 artifacts are not what they were." and version.digest in named


def test_a_deleted_version_is_missed_by_nobody(version, store):
    services.delete_version(version=version, actor=SYSTEM)
    store.delete(version.digest)
    assert verify() == ("All 0 artifacts are whole.\n", "")
