"""Sampled predictions on their way to the control plane, which compares versions request by request.

The rule chooses by the request id alone, so that every version samples the same requests. What is chosen
goes into a bounded buffer and is sent by a thread; when that cannot keep up, records are dropped and
counted. Nothing here makes a prediction wait or fail.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import random
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from .datatypes import Array, from_bfloat16
from .exposition import Family, Sample
from .messages import request_id, trace_context
from .served import Asked
from .signature import Signature

MOST_RECORDS, MOST_BYTES = 1_000, 4 * 1024 * 1024
"""Of one post, as the control plane takes them; bytes before compression."""
MOST_VALUES, MOST_OUTPUTS = 1_000, 64
BUFFERED_RECORDS, BUFFERED_BYTES = 20_000, 16 * 1024 * 1024
FLUSH_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0
CLOSE_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 30.0
MIRROR_HEADER = b"x-slipway-mirror"

_PRINTABLE = re.compile(r"[\x21-\x7e]{1,128}")


def sampled(identity: str, rate: float) -> bool:
    """Whether the rule chooses this request id at `rate` in [0, 1]; the same on every version."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") < rate * 2**64


@dataclass(frozen=True, slots=True)
class Destination:
    """Where samples go; the token is read for each post, since mounted secrets change."""

    url: str
    token: str = ""
    token_file: Path | None = None

    def request(self, body: bytes) -> urllib.request.Request:
        """The post of one gzipped body. Raises OSError when the token cannot be read."""
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        token = self.token_file.read_text().strip() if self.token_file is not None else self.token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return urllib.request.Request(f"{self.url.rstrip('/')}/api/v1/predictions", body, headers)


class Rejected(Exception):
    """The control plane does not want these records, however often they are sent."""


class Busy(Exception):
    """It may take them later; `pause` is what it asked for, in seconds, 0 if it did not."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class Sampler:
    """Chooses, keeps and sends. `offer` belongs to the event loop, the sending to a thread of its own."""

    def __init__(self, destination: Destination, rate: float, segment: Sequence[str] = ()) -> None:
        self._destination = destination
        self._rate = rate
        self._segment = [(name, name.lower().encode()) for name in segment]
        self._records: deque[bytes] = deque()
        self._bytes = 0
        self._wake = threading.Condition()
        self._closing = False
        self._told: dict[str, float] = {}
        self.counts = {
            status: Sample("model_sampled_predictions_total", {"status": status})
            for status in ("sent", "rejected", "dropped")
        }
        self._thread = threading.Thread(target=self._work, name="samples", daemon=True)
        self._thread.start()

    def identify(self, asked: Asked) -> str:
        """The request's id: of its body, of its header, or made now (and then sent back as a header)."""
        parsed_id = asked.parsed.id
        if parsed_id is not None and _PRINTABLE.fullmatch(parsed_id):
            return parsed_id
        headers = asked.request.headers
        sent = request_id(headers)
        if sent is not None:
            return sent.decode()
        made = f"{random.getrandbits(128):032x}"
        asked.request.headers = {**headers, b"x-request-id": made.encode()}
        return made

    def offer(
        self, asked: Asked, labels: Mapping[str, str], signature: Signature, outputs: Sequence[Array]
    ) -> None:
        """Keep this answered prediction if the rule chooses it; never waits, never raises."""
        identity = self.identify(asked)
        if not sampled(identity, self._rate):
            return
        record: dict[str, Any] = {
            "endpoint": labels["endpoint"],
            "version": labels["model_version"],
            "request_id": identity,
            "at": round(time.time(), 3),
            "outputs": _flat(signature, outputs),
            "mirrored": MIRROR_HEADER in asked.request.headers,
        }
        if (trace := trace_context(asked.request.headers)) is not None:
            record["trace_id"] = trace[0]
        if segment := self._segment_of(asked):
            record["segment"] = segment
        line = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)
        with self._wake:
            full = len(self._records) >= BUFFERED_RECORDS or self._bytes + len(line) > BUFFERED_BYTES
            if full or not record["outputs"]:
                self.counts["dropped"].value += 1
                return
            self._records.append(line)
            self._bytes += len(line)
            if len(self._records) == MOST_RECORDS:
                self._wake.notify()

    def families(self) -> Iterator[Family]:
        """Its counters in text format."""
        text = "".join(sample.text() for sample in self.counts.values())
        yield (
            "model_sampled_predictions_total",
            "counter",
            "Sampled predictions, by what became of them.",
            text,
        )

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what is left, for `seconds` at most."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(seconds)

    def _segment_of(self, asked: Asked) -> dict[str, str]:
        parameters: Mapping[str, Any] = getattr(asked.parsed, "parameters", {})
        found = {}
        for name, header in self._segment:
            value = parameters.get(name)
            if value is None and (sent := asked.request.headers.get(header)) is not None:
                value = sent.decode("latin-1")
            if value is not None:
                found[name] = str(value)
        return found

    def _work(self) -> None:
        pause = 0.0
        while True:
            with self._wake:
                if not self._closing and len(self._records) < MOST_RECORDS:
                    self._wake.wait(FLUSH_SECONDS)
                batch = self._take()
                closing = self._closing
            if not batch:
                if closing:
                    return
                continue
            try:
                refused = self._post(batch)
            except Rejected as error:
                self.counts["rejected"].value += len(batch)
                self._say("were refused", error)
            except Busy as error:
                self._give_back(batch)
                if closing:
                    return
                pause = min(max(error.pause, 2 * pause, 1.0), LONGEST_PAUSE_SECONDS)
                self._say("cannot be sent", error)
                self._rest(pause)
            else:
                self.counts["sent"].value += len(batch) - refused
                self.counts["rejected"].value += refused
                pause = 0.0

    def _rest(self, seconds: float) -> None:
        """Wait, but not beyond the end of the process."""
        with self._wake:
            self._wake.wait_for(lambda: self._closing, seconds)

    def _take(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._records and len(batch) < MOST_RECORDS:
            size += len(self._records[0]) + 1
            if batch and size > MOST_BYTES - 100:
                break
            batch.append(self._records.popleft())
            self._bytes -= len(batch[-1])
        return batch

    def _give_back(self, batch: list[bytes]) -> None:
        with self._wake:
            self._records.extendleft(reversed(batch))
            self._bytes += sum(map(len, batch))

    def _post(self, batch: list[bytes]) -> int:
        """Send; how many of the records were not taken though the others were. Raises Rejected, Busy."""
        body = gzip.compress(b'{"records":[' + b",".join(batch) + b"]}", 1)
        try:
            request = self._destination.request(body)
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                reasons = _reasons(response.read())
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise Rejected(f"{error.code} {error.reason}") from None
            after = error.headers.get("Retry-After", "")
            raise Busy(f"{error.code} {error.reason}", float(after) if after.isdigit() else 0.0) from None
        # ValueError: an address or a token that can stand in no request, until somebody mends it
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Busy(str(error)) from None
        if reasons:
            self._say("were refused one by one", reasons[0])
        return min(len(reasons), len(batch))

    def _say(self, what: str, error: object) -> None:
        """One line a minute for each kind of trouble."""
        now = time.monotonic()
        if now - self._told.get(what, -60.0) >= 60:
            self._told[what] = now
            print(f"slipway-serving: sampled predictions {what}: {error}", file=sys.stderr, flush=True)


def _reasons(answer: bytes) -> list[str]:
    """Why records of a post that was taken were not: `{"refused": [{"index", "reason"}…]}`."""
    try:
        return [str(item["reason"]) for item in orjson.loads(answer)["refused"]]
    except (ValueError, KeyError, TypeError):
        return []  # whoever takes samples need not tell


def _flat(signature: Signature, outputs: Sequence[Array]) -> dict[str, Any]:
    """Outputs by name as flat lists; those too wide for a record are left out."""
    found: dict[str, Any] = {}
    for spec, array in zip(signature.outputs, outputs, strict=True):
        if array.size > MOST_VALUES or len(found) == MOST_OUTPUTS:
            continue
        flat = (from_bfloat16(array) if spec.datatype.oip == "BF16" else array).reshape(-1)
        # float16 has no JSON of its own; float32 keeps it exactly.
        found[spec.name] = flat.tolist() if flat.dtype.kind == "O" else _plain(flat)
    return found


def _plain(flat: Array) -> Array:
    return flat.astype("float32") if flat.dtype == "float16" else flat
