"""A socket server in a thread of this process, for as long as a test needs it."""

from __future__ import annotations

import threading
from socketserver import TCPServer
from typing import Self


class Listening:
    """`with` listens on a free port; a subclass says what answers there."""

    host: str = "127.0.0.1"
    _server: TCPServer

    def _serve(self) -> TCPServer:
        """The server, bound and not yet running."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._server = self._serve()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])
