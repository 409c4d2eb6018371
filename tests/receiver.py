"""A real HTTP server in a thread that keeps what it was sent and answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from tests.listening import Listening

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver(Listening):
    """`with Receiver() as receiver:` listens on a free port of this machine."""

    answer: Callable[[Received], Answer] = lambda received: (200, {}, b"")
    received: list[Received] = field(default_factory=list)
    host: str = "127.0.0.1"

    def _serve(self) -> TCPServer:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # the sender was killed halfway: no server would act on it
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.path, headers, body)
                receiver.received.append(request)
                status, extra, content = receiver.answer(request)
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        return ThreadingHTTPServer((self.host, 0), Handler)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"
