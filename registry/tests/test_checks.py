"""System checks: each problem has an id and a hint."""

import os

import pytest

from registry import checks


def ids(messages):
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_the_default_settings_pass(settings, tmp_path):
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "not" / "yet" / "there"
    assert checks.check_artifact_store() == checks.check_artifact_folder() == checks.check_limits() == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("registry.adapters.missing.Store", "registry.E001"),
        ("nonsense", "registry.E001"),
        ("pathlib.Path", "registry.E002"),
    ],
)
def test_a_store_that_is_none_is_reported(settings, path, expected):
    settings.SLIPWAY_ARTIFACT_STORE = path
    assert ids(checks.check_artifact_store()) == [expected]


def test_a_folder_that_is_a_file_is_reported(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "file" / "artifacts"
    assert ids(checks.check_artifact_folder()) == ["registry.E003"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_reported(settings, tmp_path):
    tmp_path.chmod(0o500)
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path
    assert ids(checks.check_artifact_folder()) == ["registry.E003"]


def test_an_s3_store_without_a_bucket_is_reported(settings):
    settings.SLIPWAY_ARTIFACT_STORE = "registry.adapters.s3.S3Store"
    settings.SLIPWAY_S3_BUCKET = ""
    assert checks.check_artifact_store() == []
    assert ids(checks.check_bucket()) == ["registry.E005"]
    settings.SLIPWAY_S3_BUCKET = "models"
    assert checks.check_bucket() == []


def test_a_limit_of_nothing_is_reported(settings):
    settings.SLIPWAY_MAX_ARTIFACT_MB = 0
    assert ids(checks.check_limits()) == ["registry.E004"]


def test_models_and_migrations_agree(db):
    from django.core.management import call_command

    call_command("makemigrations", "registry", check=True, dry_run=True, verbosity=0)
