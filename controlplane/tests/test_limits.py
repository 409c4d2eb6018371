"""Rate limits, in the process and in a real Redis."""

import re

import pytest
from django.core.cache import caches
from django.test import Client

from tests.servers.fixtures import redis_server
from tests.servers.redis import Redis

__all__ = ["redis_server"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limits(settings):
    settings.SLIPWAY_RATE_WINDOW = 3600
    settings.SLIPWAY_RATE_TOKEN = 3
    settings.SLIPWAY_RATE_ADDRESS = 5
    settings.SLIPWAY_RATE_LOGIN = 2
    caches["limits"].clear()
    yield
    caches["limits"].clear()


def get(secret="slw_a", path="/api/v1/me", **headers):
    return Client().get(path, headers={"Authorization": f"Bearer {secret}"} | headers)


def test_the_answer_says_what_is_left():
    answer = get()
    assert answer["RateLimit-Policy"] == '"address";q=5;w=3600, "token";q=3;w=3600'
    assert re.fullmatch(r'"address";r=4;t=\d+, "token";r=2;t=\d+', answer["RateLimit"])


def test_a_token_over_its_quota_is_refused_and_another_is_not():
    assert [get().status_code for _ in range(4)] == [401, 401, 401, 429]
    refused = get()
    assert refused.status_code == 429 and refused["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "rate_limited" and 0 < int(refused["Retry-After"]) <= 3600
    assert "r=0" in refused["RateLimit"]


def test_changing_the_token_does_not_get_around_the_limit_of_the_address():
    assert [get(f"slw_{n}").status_code for n in range(6)][-1] == 429


def test_another_address_has_its_own_quota(settings):
    for n in range(6):
        get(f"slw_{n}")
    settings.SLIPWAY_PROXIES = 1
    assert get("slw_x", **{"X-Forwarded-For": "6.6.6.6, 10.0.0.7"}).status_code == 401
    settings.SLIPWAY_PROXIES = 0
    assert get("slw_x", **{"X-Forwarded-For": "10.0.0.8"}).status_code == 429, "not believed"


def test_attempts_to_sign_in_are_limited():
    codes = [Client().post("/login", {"username": "a", "password": "b"}).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert Client().get("/login").status_code == 200


def test_pages_are_not_counted():
    assert "RateLimit" not in Client().get("/healthz")


def test_quota_zero_turns_a_limit_off(settings):
    settings.SLIPWAY_RATE_TOKEN = settings.SLIPWAY_RATE_ADDRESS = 0
    assert "RateLimit" not in get()


def test_redis_counts_for_all_processes_and_its_outage_lets_requests_pass(
    redis_server: Redis,
    settings,
    caplog,  # noqa: F811
):
    settings.CACHES = {
        **settings.CACHES,
        "limits": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": redis_server.url,
        },
    }
    assert [get().status_code for _ in range(4)] == [401, 401, 401, 429]
    redis_server.stop()
    assert get().status_code == 401 and "not counted" in caplog.text
    redis_server.start()
