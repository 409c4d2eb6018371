"""What probes, monitors and people are told of Slipway itself is the truth."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from controlplane import status
from rollouts import waiting
from rollouts.conftest import author, endpoint, versions
from rollouts.models import Endpoint
from rollouts.tasks import tick_endpoints
from tests.servers.fixtures import redis_server
from tests.servers.redis import Redis

__all__ = ["author", "endpoint", "redis_server", "versions"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def no_database(monkeypatch):
    """Every question to the database ends as when its server is away."""

    def refuse(*_, **__):
        raise OperationalError("connection refused")

    from django.db.backends.base.base import BaseDatabaseWrapper

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", refuse)
    monkeypatch.setattr(BaseDatabaseWrapper, "close", lambda self: None)


def ready(query=""):
    answer = Client().get(f"/readyz{query}")
    return answer.status_code, answer.json()


def test_all_is_well():
    code, said = ready("?strict")
    assert (code, said["status"]) == (200, "ok")
    assert said["database"]["ok"] and said["schema"]["ok"] and said["ticks"]["ok"]


def test_without_the_database_the_process_lives_and_is_not_ready(no_database):
    assert Client().get("/healthz").status_code == 200
    code, said = ready()
    assert (code, said["status"]) == (503, "unavailable")
    assert "OperationalError" in said["database"]["detail"]


@pytest.mark.parametrize("path", ["/", "/models/"])
def test_without_the_database_pages_say_so_and_ask_again(no_database, path):
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = "a" * 32
    answer = client.get(path)
    assert answer.status_code == 503 and answer["Retry-After"] == "5"
    assert b"The database does not answer" in answer.content


def test_without_the_database_the_api_answers_with_a_problem(no_database):
    client = Client(raise_request_exception=False)
    answer = client.get("/api/v1/models", headers={"Authorization": "Bearer slw_x"})
    assert answer.status_code == 503 and answer["Retry-After"] == "5"
    assert answer.json()["code"] == "unavailable"


def test_ticks_that_stand_still_are_degraded_and_only_a_monitor_is_refused(endpoint):
    Endpoint.objects.update(look_at=timezone.now() - timedelta(minutes=5))
    code, said = ready()
    assert (code, said["status"], said["ticks"]["ok"]) == (200, "degraded", False)
    assert said["ticks"]["seconds"] == pytest.approx(300, abs=10)
    assert ready("?strict")[0] == 503


def test_a_schema_of_an_earlier_release_is_not_ready(monkeypatch):
    monkeypatch.setattr(status, "_schema_is_current", False)
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.filter(app="rollouts").latest("id").delete()
    code, said = ready()
    assert (code, said["status"]) == (503, "unavailable")
    assert "manage.py migrate" in said["schema"]["detail"]


def test_tables_that_were_lost_are_told_and_not_a_fault():
    assert ready()[0] == 200
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE rollouts_endpoint RENAME TO lost")
        code, said = ready()
        cursor.execute("ALTER TABLE lost RENAME TO rollouts_endpoint")
    assert (code, said["status"], said["tables"]["ok"]) == (503, "unavailable", False)
    assert "tables cannot be read" in said["tables"]["detail"] and ready()[0] == 200


def test_the_age_of_the_oldest_message_is_told_until_a_worker_takes_it(redis_server: Redis, settings):
    settings.CELERY_BROKER_URL = redis_server.url
    now = timezone.now()
    assert ready()[1]["queue"] == {"ok": True, "detail": "is emptied", "seconds": 0.0}
    with redis_server.client() as client:
        for age in (90, 10):
            sent = {"headers": {waiting.SENT_AT: now.timestamp() - age}}
            client.lpush("celery", json.dumps(sent))
        said = ready()[1]
        assert said["status"] == "degraded" and said["queue"]["seconds"] == pytest.approx(90, abs=10)
        client.rpop("celery")
        assert ready()[1]["queue"]["seconds"] == pytest.approx(10, abs=10)
        client.delete("celery")


def test_messages_carry_the_time_they_were_sent(redis_server: Redis, settings):
    from celery import current_app

    with current_app.connection_for_write(redis_server.url) as connection:
        headers = {waiting.SENT_AT: timezone.now().timestamp() - 40}
        tick_endpoints.apply_async(([1],), connection=connection, headers=headers)
    settings.CELERY_BROKER_URL = redis_server.url
    assert 35 < waiting.oldest_message_age(timezone.now()) < 60
    with redis_server.client() as client:
        client.flushall()


def test_a_queue_that_is_away_is_told_within_seconds(settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    code, said = ready()
    assert (code, said["status"]) == (200, "degraded")
    assert "the dispatcher does the ticks" in said["queue"]["detail"]


def test_people_see_on_every_page_what_is_wrong(endpoint):
    User.objects.create_superuser("ada", password="a-long-password")
    client = Client()
    assert client.get("/trouble").status_code == 204
    client.force_login(User.objects.get(username="ada"))
    assert client.get("/trouble").content.strip() == b""
    Endpoint.objects.update(look_at=timezone.now() - timedelta(minutes=5))
    assert b"Rollouts stand still" in client.get("/trouble").content
    assert b'hx-get="/trouble"' in client.get("/models/").content
