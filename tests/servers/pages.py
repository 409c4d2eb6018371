"""HTTP servers that tests need beside the real ones: /metrics pages, and a proxy that counts or lies."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import requests

Answer = tuple[int, bytes]


class Served:
    """A threaded HTTP server on a free port that answers with what `respond` returns."""

    def __init__(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                status, body = owner.respond(self.path, self.rfile.read(length))
                with contextlib.suppress(OSError):  # the client may have lost its patience
                    self.send_response(status)
                    self.send_header("Content-Type", "text/plain; version=0.0.4")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def respond(self, path: str, body: bytes) -> Answer:
        """What to answer to this request."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """host:port"""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Page(Served):
    """A /metrics page whose text is made anew for every scrape."""

    def __init__(self, text: Callable[[], str]) -> None:
        super().__init__()
        self._text = text

    def respond(self, path: str, body: bytes) -> Answer:
        return 200, self._text().encode()


class Proxy(Served):
    """Passes everything on to `target`, counts it, and lies once `lie` is set.

    `lie` gets this proxy, path, body and the honest answer, and returns what to answer instead.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target
        self.asked: list[tuple[str, bytes]] = []
        self.lie: Callable[[Proxy, str, bytes, Answer], Answer] | None = None

    def respond(self, path: str, body: bytes) -> Answer:
        self.asked.append((path, body))
        honest = self.ask(path, body)
        return self.lie(self, path, body, honest) if self.lie else honest

    def ask(self, path: str, body: bytes) -> Answer:
        """What the target answers."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = requests.post(f"{self.target}{path}", data=body, headers=headers, timeout=30)
        except requests.RequestException:
            return 502, b"bad gateway"
        return answer.status_code, answer.content
