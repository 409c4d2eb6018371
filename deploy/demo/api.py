"""A small client of Slipway's REST API: what a CI job needs, with errors it can act on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

TIMEOUT = (5, 60)
BUSY = 429
Result = TypeVar("Result")


class ApiError(Exception):
    """The API said no; `status` is the HTTP status, the message is the problem's own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Unreachable(Exception):
    """Nobody answered, or the server could not: ask again later."""


@dataclass
class Api:
    """`base` is the URL of the web server, without a trailing slash; `token` an API token."""

    base: str
    token: str
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._send("GET", path, params=query)

    def post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("POST", path, json=document)

    def find(self, path: str) -> dict[str, Any] | None:
        """What `get` answers, or None when there is no such thing."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, cursor: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list; `cursor` is the query parameter that takes `next`."""
        while True:
            page = self.get(path, **query)
            yield from page["items"]
            if page["next"] is None:
                return
            query[cursor] = page["next"]

    def upload(self, path: str, metadata: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
        """One multipart request with `metadata` as JSON beside the files."""
        parts = {name: (file.name, file.read_bytes()) for name, file in files.items()}
        return self._send("POST", path, data={"metadata": json.dumps(metadata)}, files=parts)

    def _send(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        url = f"{self.base}/api/v1/{path}"
        try:
            response = self.session.request(method, url, headers=headers, timeout=TIMEOUT, **kwargs)
        except requests.RequestException as error:
            raise Unreachable(f"{method} {url}: {error}") from error
        if response.status_code == BUSY or response.status_code >= 500:
            raise Unreachable(f"{method} {url}: {response.status_code}")
        if not response.ok:
            raise ApiError(response.status_code, f"{method} {path}: {_problem(response)}")
        document: dict[str, Any] = response.json()
        return document


def _problem(response: requests.Response) -> str:
    """The sentence of an RFC 9457 problem, or the start of whatever came instead."""
    try:
        problem = response.json()
        return " ".join(str(problem[key]) for key in ("field", "detail", "hint") if problem.get(key))
    except (ValueError, AttributeError):
        return response.text[:200]


def persist(
    work: Callable[[], Result],
    patience: float,
    pause: float = 0.5,
    rest: Callable[[float], None] = time.sleep,
) -> Result:
    """Repeat `work` while nobody answers, for up to `patience` seconds; it must be safe to repeat.

    `rest` waits between two tries and may raise to give up early.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return work()
        except Unreachable:
            if time.monotonic() >= deadline:
                raise
            rest(pause)
