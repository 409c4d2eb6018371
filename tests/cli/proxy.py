"""A bad network: forwards to a server, and drops or cuts connections when told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit


@dataclass
class Network:
    """A network that breaks as it is told.

    drops: so many connections are closed unanswered. answers: after so many requests the network is gone.
    cut_after: bytes of the next answers, one each.
    """

    upstream: tuple[str, int]
    url: str = ""
    drops: int = 0
    answers: int | None = None
    cut_after: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        network: Network = self.server.network  # type: ignore[attr-defined]
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        lines = [text for text in head.decode().split("\r\n") if not text.lower().startswith("connection:")]
        network.requests.append("\n".join(lines).strip())
        if network.answers is not None:
            network.answers -= 1
        if network.drops or (network.answers is not None and network.answers < 0):
            network.drops = max(0, network.drops - 1)
            return
        length = next((int(t[15:]) for t in lines if t.lower().startswith("content-length:")), 0)
        with socket.create_connection(network.upstream) as up:
            lines.insert(1, "Connection: close")
            up.sendall("\r\n".join(lines).encode())
            while length and (chunk := self.rfile.read(min(length, 65536))):
                length -= len(chunk)
                up.sendall(chunk)
            left = network.cut_after.pop(0) if network.cut_after else None
            if left == 0:
                return
            answer = up.makefile("rb")
            # Said aloud, so that the client does not send its next request into a closed connection.
            self.wfile.write(answer.readline() + b"Connection: close\r\n")
            while chunk := answer.read1(65536):
                self.wfile.write(chunk if left is None else chunk[:left])
                left = None if left is None else left - len(chunk)
                if left is not None and left <= 0:
                    return


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def network_to(url: str) -> Iterator[Network]:
    """A bad network in front of the server at `url`."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    network = Network((parts.hostname, parts.port))
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.network = network  # type: ignore[attr-defined]
        network.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield network
        finally:
            server.shutdown()
            thread.join()
