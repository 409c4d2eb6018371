"""Requests straight through WSGI, and the CPU time that server and database spend on them."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.db import connection

BATCHES = 5


@dataclass(frozen=True)
class Call:
    """One request; `body` is called each time, so that every creation is a new one."""

    name: str
    path: str
    method: str = "GET"
    body: Callable[[], Any] | None = None
    session: bool = False


@dataclass(frozen=True)
class Cost:
    """CPU microseconds of server and database per request, its queries and the answer's size.

    `times` is the multiple of the bare view measured beside it, which takes out how busy the machine was.
    """

    server: float
    database: float
    times: float
    queries: int
    size: int

    @property
    def total(self) -> float:
        return self.server + self.database


BARE = Call("bare", "/bare")


class Client:
    """Speaks to the application of a URL configuration as a WSGI server does."""

    def __init__(self, secret: str, cookie: str = "") -> None:
        self.application = get_wsgi_application()
        self.secret, self.cookie = secret, cookie

    def send(self, call: Call) -> bytes:
        """The answer's body; anything but a success is an error."""
        content = b"" if call.body is None else json.dumps(call.body()).encode()
        path, _, query = call.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": call.method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(content)),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": io.StringIO(),
            "wsgi.version": (1, 0),
        }
        environ |= (
            {"HTTP_COOKIE": self.cookie} if call.session else {"HTTP_AUTHORIZATION": f"Bearer {self.secret}"}
        )
        seen: list[str] = []
        answer = self.application(environ, lambda status, headers: seen.append(status))
        body = b"".join(answer)
        answer.close()
        if not seen[0].startswith("2"):
            raise RuntimeError(f"{call.method} {call.path}: {seen[0]} {body[:300]!r}")
        return body

    def cost(self, call: Call, repetitions: int) -> Cost:
        """The least of a few batches, each the mean of so many requests."""
        for _ in range(3):
            body = self.send(call)
        queries = self.queries(call)
        pairs = [(self.batch(call, repetitions), sum(self.batch(BARE, 20))) for _ in range(BATCHES)]
        best = min((batch for batch, _ in pairs), key=sum)
        times = median(sum(batch) / bare for batch, bare in pairs)
        return Cost(*best, times=times, queries=queries, size=len(body))

    def queries(self, call: Call) -> int:
        """How many statements the request sends."""
        sent: list[str] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            sent.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            self.send(call)
        return len(sent)

    def batch(self, call: Call, repetitions: int) -> tuple[float, float]:
        backend, own = _database_cpu(), time.process_time_ns()
        for _ in range(repetitions):
            self.send(call)
        own, backend = time.process_time_ns() - own, _database_cpu() - backend
        return own / repetitions / 1000, backend / repetitions / 1000


def _database_cpu() -> int:
    """Nanoseconds of CPU that the database's processes for this connection have used."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    connection.close()
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
