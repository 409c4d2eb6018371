"""One loaded model with everything a prediction passes through: parse, cache, queue, run, render."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any, Protocol

from .batch import Job
from .batching import Batcher
from .cache import ResponseCache
from .config import Options
from .datatypes import Array
from .errors import Malformed, TooLarge, Unprocessable
from .histograms import ProfileHistograms
from .loading import Loaded
from .messages import BINARY, Headers, Request, Response
from .metrics import Metrics, no_queue
from .oip.request import InferReader, InferRequest
from .oip.response import InferWriter, model_metadata
from .predict import PredictCodec, Prediction
from .signature import Signature

# The part of the deadline that requests may spend in the queue before more of them are refused.
WAIT_SHARE = 0.5
DEADLINE_HEADER = b"x-slipway-deadline-ms"


class Parsed(Protocol):
    """What every protocol makes of a request: tensors in signature order, and how many rows they have."""

    @property
    def inputs(self) -> list[Array]: ...
    @property
    def rows(self) -> int: ...
    @property
    def id(self) -> str | None: ...


class Wire(Protocol):
    """One protocol's way to read and write the tensors of one model."""

    def parse(self, request: Request) -> Any:
        """A `Parsed`. Raises ServingError with the path of what is wrong."""

    def respond(self, parsed: Any, outputs: Sequence[Array]) -> Response:
        """The answer to what `parse` returned."""


class Asked(Job):
    """A job with the request that it came from."""

    __slots__ = ("request", "codec", "parsed", "cache_key")

    request: Request
    codec: Wire
    """How its protocol reads and writes tensors."""
    parsed: Parsed
    cache_key: bytes | None


class PlainWire:
    """POST /predict."""

    def __init__(self, options: Options, signature: Signature) -> None:
        self._codec = PredictCodec(
            signature, allow_nan=options.allow_nan, model=options.model, version=options.model_version
        )

    def parse(self, request: Request) -> Prediction:
        return self._codec.parse(request.body)

    def respond(self, parsed: Prediction, outputs: Sequence[Array]) -> Response:
        return Response(200, self._codec.render(parsed, outputs))


class InferWire:
    """POST /v2/models/{model}/infer."""

    def __init__(self, options: Options, signature: Signature) -> None:
        self._writer = InferWriter(options.model, options.model_version, signature)
        self._reader = InferReader(signature, allow_nan=options.allow_nan)

    def parse(self, request: Request) -> InferRequest:
        return self._reader.parse(request.body, _head_length(request))

    def respond(self, parsed: InferRequest, outputs: Sequence[Array]) -> Response:
        body, head = self._writer.render(parsed.id, parsed.outputs, outputs)
        if head is None:
            return Response(200, body)
        headers: Headers = [(b"inference-header-content-length", b"%d" % head)]
        return Response(200, body, BINARY, headers)


class ServedModel:
    """Answers predictions. Belongs to the event loop it was made on."""

    def __init__(self, options: Options, loaded: Loaded, metrics: Metrics) -> None:
        """Raises LoadError when the histograms do not fit the model."""
        self.options = options
        self.signature = loaded.model.signature
        self.metrics = metrics
        self.digest = loaded.digest
        self.max_batch = loaded.tuning.max_batch
        self.wires: dict[str, Wire] = {
            "plain": PlainWire(options, self.signature),
            "infer": InferWire(options, self.signature),
        }
        if options.grpc_port >= 0:
            from .rpc.wire import RpcWire  # its libraries take time and memory that only its users need

            self.wires["rpc"] = RpcWire(options, self.signature)
        self._histograms = ProfileHistograms(
            loaded.histograms.first(options.histogram_columns),
            self.signature,
            metrics.labels,
            options.histogram_rate,
            missing=options.allow_nan,
        )
        self.on_gpu = loaded.model.on_gpu
        self._deadline = options.deadline_ms / 1000
        # What a model without a batch axis, or with a fixed one, takes is not the client's choice.
        free = any(spec.dynamic_batch for spec in self.signature.inputs)
        self._most_rows = options.max_rows if free else sys.maxsize
        self._batcher = Batcher(
            loaded.model,
            metrics,
            max_batch=loaded.tuning.max_batch,
            delay=loaded.tuning.delay_seconds,
            limit=options.queue,
            longest_wait=WAIT_SHARE * self._deadline,
            mergeable=loaded.profile.mergeable,
            inline=loaded.inline,
            eager=loaded.eager,
        )
        # Raises QueueFull if the queue is full.
        self.check_room = self._batcher.check_room
        self._cache = ResponseCache(options.response_cache, metrics) if options.response_cache else None
        metrics.queue_depth = lambda: self._batcher.depth
        metrics.loaded(loaded.digest, loaded.seconds, loaded.memory, self._histograms)

    def retire(self) -> None:
        """Answer what waits, then give up threads; the last of its requests takes the model with it."""
        self.metrics.queue_depth = no_queue  # else each would keep the other, out of the collector's sight
        self._batcher.retire()

    def close(self) -> None:
        """Give up threads."""
        self._batcher.close()

    def metadata(self) -> dict[str, Any]:
        """The model's metadata in the Open Inference Protocol."""
        return model_metadata(self.options.model, [self.options.model_version], self.signature)

    def start(self, asked: Asked) -> None:
        """Parse and queue; it may be answered before this returns. Raises ServingError."""
        request = asked.request
        parsed = asked.parsed = asked.codec.parse(request)
        rows = request.rows = parsed.rows
        if rows > self._most_rows:
            raise TooLarge(f"{rows} rows are more than the {self._most_rows} of one request")
        asked.put(parsed.inputs, rows, request.started + self._patience(request))
        if self._cache is not None:
            asked.cache_key = self._cache.key(parsed.inputs)
            outputs = self._cache.get(asked.cache_key)
            if outputs is not None:
                asked.cache_key = None
                self._histograms.observe(parsed.inputs, outputs)
                asked.succeed(list(outputs))
                return
        self._batcher.enqueue(asked)

    def finish(self, asked: Asked, outputs: list[Array]) -> Response:
        """The answer, now that its outputs are there."""
        if asked.cache_key is not None and self._cache is not None:
            self._cache.put(asked.cache_key, outputs)
        return asked.codec.respond(asked.parsed, outputs)

    def _patience(self, request: Request) -> float:
        """Seconds this request may take: the server's deadline, or less if the client asks for less."""
        text = request.headers.get(DEADLINE_HEADER)
        if text is None:
            return self._deadline
        try:
            seconds = float(text) / 1000
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise Unprocessable("must be a positive number of milliseconds", field=DEADLINE_HEADER.decode())
        spent = perf_counter() - request.started
        return min(self._deadline, max(seconds, spent))


def _head_length(request: Request) -> int | None:
    text = request.headers.get(b"inference-header-content-length")
    if text is None:
        return None
    if not text.isdigit() or len(text) > 18:
        raise Malformed("must be a number of bytes", field="Inference-Header-Content-Length")
    return int(text)
