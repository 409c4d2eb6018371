"""Rate limits: requests per window, by token, by address, and of attempts to sign in by address.

The counters are Django's cache `limits`: one set for all processes in Redis, one set per process without.
Windows are fixed, so around their border a client may send up to twice the quota within one window's length.
A cache that does not answer lets requests pass: a limit protects Slipway, and an outage of Redis must not
end it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError

from controlplane.errors import PROBLEM, problem
from registry.errors import RateLimited
from registry.identity import client_address

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` requests per `window` seconds for each `key`."""

    name: str
    quota: int
    window: int
    key: str


@dataclass(frozen=True, slots=True)
class State:
    """How much is left of a policy, and the seconds until its window ends."""

    policy: Policy
    left: int
    seconds: int

    @property
    def policy_header(self) -> str:
        """The policy as an item of `RateLimit-Policy`."""
        return f'"{self.policy.name}";q={self.policy.quota};w={self.policy.window}'

    @property
    def header(self) -> str:
        """What is left as an item of `RateLimit`."""
        return f'"{self.policy.name}";r={max(0, self.left)};t={self.seconds}'


class LimitMiddleware:
    """Counts requests to the API and attempts to sign in; 429 with `Retry-After` over the quota.

    Every counted answer says what is left, in the headers of draft-ietf-httpapi-ratelimit-headers.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        policies = policies_of(request)
        if not policies:
            return self.get_response(request)
        states = [state for policy in policies if (state := _count(policy, time.time())) is not None]
        over = [state for state in states if state.left < 0]
        response = _refusal(over) if over else self.get_response(request)
        if states:
            response["RateLimit-Policy"] = ", ".join(state.policy_header for state in states)
            response["RateLimit"] = ", ".join(state.header for state in states)
        return response


def policies_of(request: HttpRequest) -> list[Policy]:
    """The policies that count this request; those with quota 0 are off."""
    window = max(1, settings.SLIPWAY_RATE_WINDOW)
    if request.method == "POST" and request.path == "/login":
        found = [Policy("login", settings.SLIPWAY_RATE_LOGIN, window, client_address(request.META))]
    elif request.path.startswith("/api/"):
        found = [Policy("address", settings.SLIPWAY_RATE_ADDRESS, window, client_address(request.META))]
        sent = request.META.get("HTTP_AUTHORIZATION", "")
        if sent:
            # A digest: the secret is kept nowhere, not even in the cache.
            key = hashlib.blake2b(sent.encode(), digest_size=12).hexdigest()
            found.append(Policy("token", settings.SLIPWAY_RATE_TOKEN, window, key))
    else:
        return []
    return [policy for policy in found if policy.quota > 0]


def _count(policy: Policy, now: float) -> State | None:
    """The state after this request; None when the counters cannot be reached."""
    number, passed = divmod(int(now), policy.window)
    key = f"{policy.name}:{policy.key}:{number}"
    try:
        used = _increment(key, policy.window)
    except (RedisError, OSError) as error:
        log.warning("rate limits are not counted: %s", error)
        return None
    return State(policy, policy.quota - used, policy.window - passed)


def _increment(key: str, window: int) -> int:
    cache = caches["limits"]
    for _ in range(2):
        try:
            return int(cache.incr(key))
        except ValueError:
            if cache.add(key, 1, timeout=window + 1):
                return 1
    # It was there to be added to, and gone to be counted on: its window has just ended.
    return 1


def _refusal(over: list[State]) -> HttpResponse:
    worst = max(over, key=lambda state: state.seconds)
    error = RateLimited(
        f"The limit {worst.policy.name!r} is {worst.policy.quota} requests in {worst.policy.window} s.",
        hint=f"Go on in {worst.seconds} s.",
    )
    response = JsonResponse(problem(error), status=error.status, content_type=PROBLEM)
    response["Retry-After"] = str(worst.seconds)
    return response
