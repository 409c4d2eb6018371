"""Each missing or contradictory setting is one finding with an id and a hint; a production one has none."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from controlplane import checks, env

ROOT = Path(__file__).resolve().parents[2]


def ids(check):
    found = list(check())
    assert all(finding.hint for finding in found)
    return [finding.id for finding in found]


@pytest.mark.parametrize(
    "changed, check, expected",
    [
        ({"SLIPWAY_TLS": True}, checks.addresses, "controlplane.E002"),
        ({"SLIPWAY_PUBLIC_URL": "http://slipway.example.org"}, checks.addresses, "controlplane.E003"),
        (
            {"SLIPWAY_PROMETHEUS_AUTH": ("a", "b"), "SLIPWAY_PROMETHEUS_TOKEN": "c"},
            checks.prometheus,
            "controlplane.E004",
        ),
        ({"SLIPWAY_PROMETHEUS_KEY": __file__}, checks.prometheus, "controlplane.E005"),
        ({"SLIPWAY_PROMETHEUS_CA": "/nowhere/ca.pem"}, checks.prometheus, "controlplane.E006"),
        ({"SLIPWAY_S3_BUCKET": "models"}, checks.unused, "controlplane.W001"),
        ({"SLIPWAY_PROMETHEUS_URL": "http://prometheus:9090"}, checks.unused, "controlplane.W001"),
        ({"SLIPWAY_NOTICES_QUEUE": "notices"}, checks.unused, "controlplane.W001"),
        ({"SLIPWAY_KUBERNETES_FILE": __file__}, checks.unused, "controlplane.W001"),
        (
            {
                "SLIPWAY_CLUSTER": "rollouts.adapters.kubernetes.KubernetesCluster",
                "SLIPWAY_KUBERNETES_FILE": __file__,
            },
            checks.kubernetes,
            "controlplane.E007",
        ),
        (
            {
                "SLIPWAY_CLUSTER": "rollouts.adapters.kubernetes.KubernetesCluster",
                "SLIPWAY_ROUTER": "rollouts.adapters.kubernetes.IstioRouter",
            },
            checks.kubernetes,
            "controlplane.E008",
        ),
        ({"SLIPWAY_TABLES": ["tables"]}, checks.scoring, "controlplane.E010"),
        ({"SLIPWAY_SCORING_JOB_FILE": "/nowhere/job.yaml"}, checks.scoring, "controlplane.E011"),
        ({"SECRET_KEY": "now", "SECRET_KEY_FALLBACKS": ["now"]}, checks.fallback_keys, "controlplane.W002"),
        ({"ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}, checks.hosts, "controlplane.E102"),
        ({"ALLOWED_HOSTS": ["*"]}, checks.hosts, "controlplane.W101"),
        ({"STATIC_ROOT": None}, checks.static_files, "controlplane.W105"),
        ({"STATIC_ROOT": "/nowhere"}, checks.static_files, "controlplane.E103"),
        ({"CELERY_BROKER_URL": ""}, checks.engines, "controlplane.W103"),
        ({}, checks.engines, "controlplane.W104"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_setting_is_found(settings, changed, check, expected):
    for name, value in changed.items():
        setattr(settings, name, value)
    assert expected in ids(check)


@pytest.mark.parametrize(
    "database, check, expected",
    [
        ({"OPTIONS": {"pool": {"max_size": 0}}}, checks.pool, "controlplane.E009"),
        ({"ENGINE": "django.db.backends.sqlite3"}, checks.engines, "controlplane.W102"),
    ],
    ids=["no connection", "sqlite"],
)
def test_a_wrong_database_is_found(settings, monkeypatch, database, check, expected):
    monkeypatch.setitem(settings.DATABASES, "default", {**settings.DATABASES["default"], **database})
    assert expected in ids(check)


def test_an_adapter_of_somebody_elses_may_read_any_setting(settings):
    settings.SLIPWAY_S3_BUCKET = "models"
    settings.SLIPWAY_ARTIFACT_STORE = "example.store.OurStore"
    assert ids(checks.unused) == []


def test_a_value_beside_a_file_is_a_contradiction(monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_SECRET_KEY", "x")
    monkeypatch.setenv("SLIPWAY_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert ids(checks.two_sources) == ["controlplane.E001"]


def test_a_key_that_nobody_set_is_found(monkeypatch):
    monkeypatch.delenv("SLIPWAY_SECRET_KEY", raising=False)
    monkeypatch.delenv("SLIPWAY_SECRET_KEY_FILE", raising=False)
    assert ids(checks.secret_key) == ["controlplane.E101"]


def test_a_misspelt_variable_is_found_and_corrected(monkeypatch):
    monkeypatch.setenv("SLIPWAY_DATABSE_URL", "postgresql://x/y")
    (found,) = checks.typing_errors()
    assert (found.id, found.hint) == ("controlplane.W106", "Is SLIPWAY_DATABASE_URL meant?")


def test_a_secret_is_read_from_its_file_without_the_newline(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("redis://queue:6379/0\n")
    monkeypatch.setenv("SLIPWAY_SOMETHING_FILE", str(tmp_path / "url"))
    assert env.text("SLIPWAY_SOMETHING") == "redis://queue:6379/0"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secret_file_that_cannot_be_read_is_named(monkeypatch, tmp_path, content):
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    monkeypatch.setenv("SLIPWAY_SOMETHING_FILE", str(tmp_path / "url"))
    with pytest.raises(ImproperlyConfigured, match=r"SLIPWAY_SOMETHING_FILE points at .*url"):
        env.text("SLIPWAY_SOMETHING")


@pytest.mark.parametrize(
    "read, value, said",
    [
        (lambda: env.integer("SLIPWAY_X", 1), "many", "whole number"),
        (lambda: env.integer("SLIPWAY_X", 1), "-1", "at least 0"),
        (lambda: env.integer("SLIPWAY_X", 1, least=1), "0", "at least 1"),
        (lambda: env.url("SLIPWAY_X", ("redis", "rediss")), "queue:6379", "redis://host:port"),
        (lambda: env.url("SLIPWAY_X", ("http", "https")), "http:///path", "http://host:port"),
        (lambda: env.url("SLIPWAY_X", ("http", "https")), "http://host:many", "http://host:port"),
        (lambda: env.flag("SLIPWAY_X", False), "perhaps", "write 1 or 0"),
        (lambda: env.seconds("SLIPWAY_X", 1), "-3", "above zero"),
        (lambda: env.pairs("SLIPWAY_X"), "no colon", "key: value"),
        (lambda: env.user_and_password("SLIPWAY_X"), "alone", "user:password"),
    ],
    ids=[
        "integer",
        "negative",
        "zero",
        "no scheme",
        "no host",
        "port",
        "flag",
        "seconds",
        "pairs",
        "user and password",
    ],
)
def test_a_value_of_the_wrong_kind_is_one_sentence_that_names_the_variable(monkeypatch, read, value, said):
    monkeypatch.setenv("SLIPWAY_X", value)
    with pytest.raises(ImproperlyConfigured, match=f"SLIPWAY_X.*{said}"):
        read()


def test_an_address_that_is_wrong_does_not_show_its_password(monkeypatch):
    monkeypatch.setenv("SLIPWAY_X", "redis:/queue:s3cret@host")
    with pytest.raises(ImproperlyConfigured) as refused:
        env.url("SLIPWAY_X", ("redis",))
    assert "s3cret" not in str(refused.value)


WRONG = {
    "SLIPWAY_DATABASE_URL": "postgresql://db:port/slipway",
    "SLIPWAY_REDIS_URL": "queue:6379",
    "SLIPWAY_PROMETHEUS_URL": "prometheus:9090",
    "SLIPWAY_S3_ENDPOINT": "minio:9000",
    "SLIPWAY_LOG_LEVEL": "loud",
    "SLIPWAY_SCORING_AT_ONCE": "0",
    "SLIPWAY_PROXIES": "-1",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_setting_that_is_wrong_ends_every_command_with_one_sentence(name, monkeypatch):
    """The settings are executed anew, as by a process that starts."""
    monkeypatch.setenv(name, WRONG[name])
    with pytest.raises(ImproperlyConfigured, match=name):
        runpy.run_path(str(ROOT / "controlplane" / "settings.py"))


def test_a_production_installation_is_clean(tmp_path):
    secrets = {
        "SLIPWAY_SECRET_KEY": "a-long-secret-of-fifty-characters-and-some-more-0123456789",
        "SLIPWAY_DATABASE_URL": "postgresql://slipway:secret@db:5432/slipway",
        "SLIPWAY_REDIS_URL": "redis://queue:6379/0",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
    for name, value in secrets.items():
        (tmp_path / name).write_text(f"{value}\n")
        environment[f"{name}_FILE"] = str(tmp_path / name)
    static = tmp_path / "static"
    (static / "controlplane").mkdir(parents=True)
    environment |= {
        "SLIPWAY_HOME": str(tmp_path / "home"),
        "SLIPWAY_STATIC_ROOT": str(static),
        "SLIPWAY_TLS": "1",
        "SLIPWAY_ALLOWED_HOSTS": "slipway.example.org",
        "SLIPWAY_PUBLIC_URL": "https://slipway.example.org",
        "SLIPWAY_METRICS_SOURCE": "monitoring.adapters.prometheus.PrometheusSource",
        "SLIPWAY_PROMETHEUS_URL": "http://prometheus:9090",
        "SLIPWAY_ARTIFACT_STORE": "registry.adapters.s3.S3Store",
        "SLIPWAY_S3_BUCKET": "models",
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()


def test_one_machine_needs_no_settings_at_all():
    call_command("check", fail_level="WARNING")
