"""HTTP to a Prometheus: who asks, how long, how often again, and when not to ask at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests import RequestException
from requests.utils import get_environ_proxies
from urllib3.util.retry import Retry

from monitoring.errors import MetricsUnavailable

T = TypeVar("T")
# The `result` of the query API as JSON.
Rows = Sequence[Mapping[str, Any]]

CONNECT_SECONDS = 3.05
# Answers that mean "not now" rather than "not like this".
RETRIED = (429, 502, 503, 504)
# No connection, a refusal, or an answer that is not what the API promises.
_TROUBLE = (
    RequestException, PrometheusApiClientException, LookupError, TypeError, ValueError, AttributeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a Prometheus and what to show it.

    `tenant` is sent as Mimir's and Thanos' header; `ca` is a file of certificates to trust, `certificate`
    and `key` what this client shows in mutual TLS. `timeout` and `backoff` are seconds; `retries` counts
    further attempts after a refused connection or one of RETRIED, `backoff`, 2·backoff, … apart. A server
    that accepts and stays silent is not asked again: that costs one `timeout`.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    tenant: str = ""
    verify: bool = True
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    timeout: float = 10.0
    retries: int = 2
    backoff: float = 0.2
    rest: float = 1.0
    longest_rest: float = 15.0

    def all_headers(self) -> dict[str, str]:
        """Bearer token and tenant as headers; what `headers` names itself wins."""
        made = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.tenant:
            made |= {"X-Scope-OrgID": self.tenant, "THANOS-TENANT": self.tenant}
        return made | dict(self.headers)


class Client:
    """Queries with retries. After an outage it rests, longer each time, and answers at once that it does:

    a tick that waits for a stalled server must not keep every other endpoint waiting as well.
    """

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self.access = access
        self.url = access.url.rstrip("/")
        self._clock = clock
        self._client = PrometheusConnect(
            url=self.url, headers=access.all_headers(), auth=access.auth, session=_session(access),
            timeout=(min(CONNECT_SECONDS, access.timeout), access.timeout), method="POST",
            retry=_retry(access),
        )  # fmt: skip
        self._outages = 0
        self._rests_until = 0.0
        self._trouble = ""

    def instant(self, query: str, at: float, read: Callable[[Rows], T]) -> T:
        """What `read` makes of the query's rows at Unix time `at`; raises MetricsUnavailable."""
        return self._asked(lambda: self._client.custom_query(query, params={"time": f"{at:.3f}"}), read)

    def range(self, query: str, start: float, end: float, step: float, read: Callable[[Rows], T]) -> T:
        """The same over (start, start + step, …, end)."""
        # The client rounds its times to seconds; as parameters they keep their milliseconds.
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}"}
        last = datetime.fromtimestamp(end, UTC)
        return self._asked(
            lambda: self._client.custom_query_range(
                query, start_time=last, end_time=last, step=f"{step:.3f}", params=times
            ),
            read,
        )

    def _asked(self, ask: Callable[[], Rows], read: Callable[[Rows], T]) -> T:
        if self._clock() < self._rests_until:
            raise self._unavailable(self._trouble)
        try:
            found = read(ask())
        except _TROUBLE as error:
            what = str(error)[:300] or type(error).__name__
            if isinstance(error, RequestException):
                self._rest(what)
            raise self._unavailable(what) from error
        self._outages = 0
        return found

    def _rest(self, what: str) -> None:
        seconds = min(self.access.longest_rest, self.access.rest * 2**self._outages)
        self._outages = min(self._outages + 1, 30)
        self._trouble = what
        self._rests_until = self._clock() + seconds

    def _unavailable(self, what: str) -> MetricsUnavailable:
        return MetricsUnavailable(
            f"Prometheus at {self.url} did not answer as it should: {what}.",
            hint="See SLIPWAY_PROMETHEUS_URL and whether the server is up.",
        )


class _FormSession(requests.Session):
    """Sends a query as the form of a POST: with hundreds of endpoints it outgrows what proxies let pass
    as an address."""

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        if str(method).upper() == "POST":
            options["data"] = options.pop("params", None)
        return super().request(method, url, *args, **options)


def _session(access: Access) -> requests.Session:
    session = _FormSession()
    session.verify = access.ca if access.verify and access.ca else access.verify
    if access.certificate:
        session.cert = (access.certificate, access.key) if access.key else access.certificate
    # A .netrc must not change who we are towards the metrics provider; a proxy may be needed to reach it.
    session.trust_env = False
    session.proxies.update(get_environ_proxies(access.url))
    return session


def _retry(access: Access) -> Retry:
    return Retry(
        total=access.retries, connect=access.retries, read=0, status=access.retries, other=0, redirect=0,
        backoff_factor=access.backoff, status_forcelist=RETRIED, allowed_methods={"GET", "POST"},
        raise_on_status=False, respect_retry_after_header=False,
    )  # fmt: skip
