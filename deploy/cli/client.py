"""Slipway's REST API as seen by the command line: JSON in and out, retries, errors with an exit status."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from deploy.cli.config import Access
from deploy.cli.errors import CliError, Problem, StillBusy, Unreachable
from deploy.cli.exits import Exit
from deploy.cli.text import clean
from deploy.cli.version import version

if TYPE_CHECKING:
    import requests

Document = dict[str, Any]
Result = TypeVar("Result")
# Seconds to connect, and without a byte of an answer: inspecting an uploaded model takes its time.
TIMEOUT = (10, 300)
TRIES = 4
# What urllib3 puts before the reason: the connection object.
_NOISE = re.compile(r"^<?[\w.]*Connection\w*(\([^)]*\)| object at \w+>)?: ")
_BUSY = frozenset({429, 502, 503, 504})
_LONGEST_REST = 60.0
# The server forgets a request whose process died after 15 minutes.
_LONGEST_BUSY = 16 * 60.0
_BUSY_REST = 5.0
# The code of a key whose first request has not been answered yet.
_KEY_BUSY = "key_busy"


@dataclass
class Client:
    """One server. GET, PUT, and POST with a key are repeated when nobody answers; nothing else is."""

    access: Access
    tries: int = TRIES
    rest: Callable[[float], None] = time.sleep
    timeout: tuple[float, float] = field(default=TIMEOUT)

    def get(self, path: str, **query: Any) -> Document:
        """The JSON at `/api/v1/{path}`; a query value of None is left out."""
        wanted = {key: value for key, value in query.items() if value is not None}
        return self.json("GET", path, params=wanted)

    def find(self, path: str, **query: Any) -> Document | None:
        """What `get` answers, or None when there is no such thing."""
        try:
            return self.get(path, **query)
        except Problem as problem:
            if problem.status == 404:
                return None
            raise

    def post(self, path: str, document: Mapping[str, Any], key: str | None = None) -> Document:
        """POST; with a `key` it acts once however often it is sent."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.json("POST", path, json=document, headers=headers)

    def items(self, path: str, limit: int | None, cursor: str = "after", **query: Any) -> Iterator[Document]:
        """The items of a list page by page, at most `limit`; `cursor` is the parameter that takes `next`."""
        left = limit
        while left is None or left > 0:
            page = self.get(path, **query, limit=min(left or 200, 200))
            yield from page["items"][:left]
            left = None if left is None else left - len(page["items"])
            if page.get("next") is None:
                return
            query[cursor] = page["next"]

    def json(self, method: str, path: str, **kwargs: Any) -> Document:
        """One request whose answer is a JSON object; `{}` for an empty one."""
        response = self.send(method, f"{self.access.url}/api/v1/{path}", **kwargs)
        if not response.content:
            return {}
        return self._document(response)

    def send(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """The answer to one request, repeated where that is safe. Raises Problem and Unreachable."""
        headers = {"Accept": "application/json", **kwargs.pop("headers", {})}
        safe = method in {"GET", "HEAD", "PUT"} or "Idempotency-Key" in headers
        return self.persist(
            lambda: self.once(method, url, headers=headers, **kwargs), self.tries if safe else 1
        )

    def persist(self, work: Callable[[], Result], tries: int | None = None) -> Result:
        """`work` again, at most `tries` times, while nobody answers; longer while an answer is on its way."""
        failed, waited = 0, 0.0
        while True:
            try:
                return work()
            except StillBusy as error:
                pause = min(_BUSY_REST + waited, _LONGEST_REST)
                waited += pause
                if waited > _LONGEST_BUSY:
                    raise error
            except Unreachable as error:
                failed += 1
                if failed >= (tries or self.tries) or not error.again:
                    raise
                pause = error.after or 0.5 * 2 ** (failed - 1)
            self.rest(pause)

    def once(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """`send` without a second try."""
        import requests

        kwargs.setdefault("allow_redirects", False)
        kwargs.setdefault("timeout", self.timeout)
        # Said with every request: REQUESTS_CA_BUNDLE would win over what the session says.
        kwargs["verify"] = self.access.ca_bundle or True
        try:
            response = self.session.request(method, url, **kwargs)
        except requests.exceptions.SSLError as error:
            raise Unreachable(
                f"{self.access.url}: its certificate was not accepted ({_cause(error)}).",
                hint="Name the authority with --ca-bundle FILE or SLIPWAY_CA_BUNDLE.",
            ) from error
        except requests.exceptions.InvalidJSONError as error:
            raise CliError(f"It cannot be said in JSON: {error}.", exit=Exit.USAGE) from error
        except requests.exceptions.RequestException as error:
            raise Unreachable(f"{self.access.url} did not answer: {_cause(error)}", again=True) from error
        except OSError as error:
            # requests raises a bare OSError for a bundle that is not there.
            raise CliError(str(error), hint="Check --ca-bundle.", exit=Exit.USAGE) from error
        self._check(response)
        return response

    def _check(self, response: requests.Response) -> None:
        """Raise what the answer's status says."""
        status = response.status_code
        if status in _BUSY:
            after = _pause(response.headers.get("Retry-After"))
            raise Unreachable(f"The server answered {status}: {_detail(response)}", again=True, after=after)
        if status >= 500:
            raise Unreachable(f"The server failed with {status}: {_detail(response)}")
        if 300 <= status < 400 and status != 304:
            place = clean(response.headers.get("Location", "elsewhere"))
            raise Unreachable(
                f"{self.access.url} points to {place}.", hint="Sign in with the address it names."
            )
        if status >= 400 and status != 416:
            problem = Problem(status, self._document(response, "detail"))
            if problem.code == _KEY_BUSY:
                raise StillBusy(problem.message, hint=problem.hint, again=True)
            raise problem

    def _document(self, response: requests.Response, *needed: str) -> Document:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict) or any(name not in document for name in needed):
            place = clean(response.url.split("?")[0])
            raise Unreachable(
                f"{place} answered {response.status_code}, but not as Slipway does.",
                hint="Is this the address of a Slipway, and is it as new as this command?",
            )
        return document

    @cached_property
    def session(self) -> requests.Session:
        """The connection. The token goes through `auth`, so neither netrc nor a redirect meddles with it."""
        import requests

        session = requests.Session()
        session.headers["User-Agent"] = f"slipway/{version()}"
        session.auth = self._sign
        return session

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.access.token and (request.url or "").startswith(f"{self.access.url}/"):
            request.headers["Authorization"] = f"Bearer {self.access.token}"
        return request


def _pause(after: str | None) -> float | None:
    """Seconds that a `Retry-After` asks for, within reason."""
    return min(float(after), _LONGEST_REST) if after and after.isdecimal() else None


def _detail(response: requests.Response) -> str:
    try:
        return clean(str(response.json()["detail"]))
    except (ValueError, KeyError, TypeError):
        return clean(response.reason or "no reason given")


def _cause(error: BaseException) -> str:
    """The innermost reason: urllib3 wraps it several times."""
    reason: Any = error
    while True:
        inner = getattr(reason, "reason", None) or next(
            (arg for arg in getattr(reason, "args", ()) if isinstance(arg, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            return clean(_NOISE.sub("", str(reason)))[:300]
        reason = inner
