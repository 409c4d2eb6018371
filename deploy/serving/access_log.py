"""One JSON line per prediction: what was asked of whom and how long it took, never the inputs.

Lines are collected and written by a thread, so a slow reader of stdout slows no prediction; when it is
slower than the server for long, lines are dropped and the number of them is logged.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from hashlib import blake2b
from time import perf_counter
from typing import BinaryIO

import orjson

from .messages import Request, request_id, trace_context
from .threads import in_daemon

FLUSH_SECONDS = 0.2
CLOSE_SECONDS = 1.0
MOST_LINES = 20_000


class AccessLog:
    """Writes to `stream`; `labels` (endpoint, model, version) stand on every line."""

    def __init__(self, stream: BinaryIO, labels: Mapping[str, str]) -> None:
        self._stream = stream
        self._labels = dict(labels)
        self._lines: list[bytes] = []
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None

    def record(
        self, request: Request, status: int, outcome: str, labels: Mapping[str, str] | None = None
    ) -> None:
        """Note one answered prediction. Times are milliseconds; the hash is BLAKE2b of the body."""
        if len(self._lines) >= MOST_LINES:
            self._dropped += 1
        else:
            entry = self._entry(request, status, outcome, labels or self._labels)
            self._lines.append(orjson.dumps(entry, option=_LINE))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def close(self) -> None:
        """Write what is left, waiting for it, but not for a reader that has stopped reading."""
        if self._timer is not None:
            self._timer.cancel()
        writer = threading.Thread(target=_write, args=(self._stream, self._take()), daemon=True)
        writer.start()
        writer.join(CLOSE_SECONDS)

    def _entry(
        self, request: Request, status: int, outcome: str, labels: Mapping[str, str]
    ) -> dict[str, object]:
        headers = request.headers
        entry: dict[str, object] = {
            "time": round(time.time(), 3),
            **labels,
            "path": request.path,
            "status": status,
            "outcome": outcome,
            "rows": request.rows,
            "input_hash": blake2b(request.body, digest_size=16).hexdigest(),
            "queue_ms": round(request.queued * 1000, 3),
            "compute_ms": round(request.computed * 1000, 3),
            "total_ms": round((perf_counter() - request.started) * 1000, 3),
        }
        if (identity := request_id(headers)) is not None:
            entry["request_id"] = identity.decode()
        if (parent := trace_context(headers)) is not None:
            entry["trace_id"], entry["parent_span_id"] = parent
        if request.client:
            entry["client"] = request.client
        return entry

    def _take(self) -> bytes:
        if self._dropped:
            self._lines.append(orjson.dumps({**self._labels, "dropped_lines": self._dropped}, option=_LINE))
            self._dropped = 0
        content = b"".join(self._lines)
        self._lines.clear()
        return content

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        if self._writing is not None and not self._writing.done():
            self._timer = loop.call_later(FLUSH_SECONDS, self._flush)
            return
        content = self._take()
        self._writing = in_daemon(lambda: _write(self._stream, content), "access-log")


_LINE = orjson.OPT_APPEND_NEWLINE


def _write(stream: BinaryIO, content: bytes) -> None:
    try:
        stream.write(content)
        stream.flush()
    except (OSError, ValueError):  # nobody reads any more; predictions go on
        pass
