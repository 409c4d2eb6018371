"""One loaded model with everything a prediction passes through: parse, cache, queue, run, render."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from .batching import Batcher
from .cache import ResponseCache
from .config import Options
from .datatypes import Array
from .errors import Malformed, TooLarge, Unprocessable
from .histograms import ProfileHistograms
from .loading import Loaded
from .messages import BINARY, Headers, Request, Response
from .metrics import Metrics
from .oip.request import parse_infer
from .oip.response import model_metadata, render_infer
from .predict import PredictCodec

DEADLINE_HEADER = b"x-slipway-deadline-ms"


class ServedModel:
    """Answers predictions. Belongs to the event loop it was made on."""

    def __init__(self, options: Options, loaded: Loaded, metrics: Metrics) -> None:
        """Raises LoadError when the histograms do not fit the model."""
        self.signature = loaded.model.signature
        histograms = ProfileHistograms(loaded.histograms, self.signature, metrics.labels)
        self._options = options
        self._deadline = options.deadline_ms / 1000
        self._codec = PredictCodec(
            self.signature, allow_nan=options.allow_nan, model=options.model, version=options.model_version
        )
        self._batcher = Batcher(
            loaded.model,
            metrics,
            max_batch=options.max_batch,
            delay=options.batch_delay_ms / 1000,
            limit=options.queue,
            mergeable=loaded.profile.mergeable,
            inline=loaded.inline,
        )
        self._cache = ResponseCache(options.response_cache, metrics) if options.response_cache else None
        self._histograms = histograms
        metrics.queue_depth = lambda: self._batcher.depth
        metrics.loaded(loaded.digest, loaded.seconds, histograms)

    def close(self) -> None:
        """Give up threads."""
        self._batcher.close()

    def check_room(self) -> None:
        """Raise Overloaded if the queue is full."""
        self._batcher.check_room()

    def metadata(self) -> dict[str, Any]:
        """The model's metadata in the Open Inference Protocol."""
        return model_metadata(self._options.model, [self._options.model_version], self.signature)

    async def predict(self, request: Request) -> Response:
        """POST /predict. Raises ServingError."""
        parsed = self._codec.parse(request.body)
        outputs = await self._compute(request, parsed.inputs, parsed.rows)
        return Response(200, self._codec.render(parsed, outputs))

    async def infer(self, request: Request) -> Response:
        """POST /v2/models/{model}/infer. Raises ServingError."""
        options = self._options
        head_length = _head_length(request)
        parsed = parse_infer(request.body, head_length, self.signature, allow_nan=options.allow_nan)
        outputs = await self._compute(request, parsed.inputs, parsed.rows)
        body, head = render_infer(
            options.model, options.model_version, parsed.id, self.signature, parsed.outputs, outputs
        )
        if head is None:
            return Response(200, body)
        headers: Headers = [(b"inference-header-content-length", str(head).encode())]
        return Response(200, body, BINARY, headers)

    async def _compute(self, request: Request, inputs: list[Array], rows: int) -> Sequence[Array]:
        request.rows = rows
        if rows > self._options.max_rows:
            raise TooLarge(f"{rows} rows are more than the {self._options.max_rows} of one request")
        if self._cache is None:
            return await self._run(request, inputs, rows)
        key = self._cache.key(inputs)
        outputs = self._cache.get(key)
        if outputs is None:
            outputs = await self._run(request, inputs, rows)
            self._cache.put(key, outputs)
        else:
            self._histograms.observe(inputs, outputs)
        return outputs

    async def _run(self, request: Request, inputs: list[Array], rows: int) -> Sequence[Array]:
        job = self._batcher.submit(inputs, rows, request.started + self._patience(request))
        outputs = await job.future
        request.queued, request.computed = job.queued, job.computed
        return outputs

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
