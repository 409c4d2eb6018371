"""What the server answers: one model version behind the plain and the Open Inference protocol."""

from __future__ import annotations

import enum
import sys
import traceback
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter

from .batching import Batcher, Job
from .config import Options
from .datatypes import Array
from .errors import (
    Malformed,
    MethodNotAllowed,
    ModelFailed,
    NotFound,
    Overloaded,
    ServingError,
    TooLarge,
)
from .exposition import CONTENT_TYPE
from .histograms import ProfileHistograms
from .loading import Loaded
from .messages import BINARY, Headers, Request, Response, error_response, json_response
from .metrics import Metrics
from .oip.request import parse_infer
from .oip.response import model_metadata, render_infer, server_metadata
from .predict import PredictCodec

Handler = Callable[[Request], Awaitable[Response]]


class State(enum.Enum):
    """Where the process is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Service:
    """Routes requests; `in_flight` and `last_prediction` (perf_counter seconds) tell when it is quiet."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.state = State.STARTING
        self.metrics = Metrics(options.endpoint, options.model, options.model_version)
        self.in_flight = 0
        self.last_prediction = 0.0
        self._loaded: Loaded | None = None
        self._batcher: Batcher | None = None
        self._codec: PredictCodec | None = None
        self._deadline = options.deadline_ms / 1000
        self._get, self._post = self._routes()

    def accept(self, loaded: Loaded) -> None:
        """Take the loaded model and become ready. Raises LoadError if the histograms do not fit it."""
        options, signature = self.options, loaded.model.signature
        histograms = ProfileHistograms(loaded.histograms, signature, self.metrics.labels)
        batcher = Batcher(
            loaded.model,
            self.metrics,
            max_batch=options.max_batch,
            delay=options.batch_delay_ms / 1000,
            limit=options.queue,
            mergeable=loaded.profile.mergeable,
            inline=loaded.inline,
        )
        self._codec = PredictCodec(
            signature, allow_nan=options.allow_nan, model=options.model, version=options.model_version
        )
        self._loaded, self._batcher = loaded, batcher
        self.metrics.queue_depth = lambda: batcher.depth
        self.metrics.loaded(loaded.digest, loaded.seconds, histograms)
        if self.state is State.STARTING:
            self.state = State.READY

    def drain(self) -> None:
        """Stop being ready; requests that still come are answered, each on a connection that closes."""
        self.state = State.DRAINING

    def close(self) -> None:
        if self._batcher is not None:
            self._batcher.close()

    def takes_body(self, method: str, path: str) -> bool:
        """Whether the body of such a request is worth reading."""
        return method == "POST" and path in self._post

    async def handle(self, request: Request) -> Response:
        """Answer one request; never raises."""
        if self._is_prediction(request):
            response = await self._counted(request)
        else:
            response = await self._guarded(request)
        if self.state is State.DRAINING:
            response.headers.append((b"connection", b"close"))
        request_id = request.headers.get(b"x-request-id")
        if request_id is not None:
            response.headers.append((b"x-request-id", request_id))
        return response

    def refuse(self, request: Request, error: ServingError) -> Response:
        """The answer to a request whose body could not be taken."""
        if self._is_prediction(request):
            self.metrics.finished(error.outcome, perf_counter() - request.started)
        return error_response(error)

    def _is_prediction(self, request: Request) -> bool:
        return request.method == "POST" and request.path in self._post

    async def _guarded(self, request: Request) -> Response:
        try:
            return await self._route(request)(request)
        except ServingError as error:
            return error_response(error)
        except Exception:
            return _bug()

    async def _counted(self, request: Request) -> Response:
        """Answer a prediction, counting it once, however it ends."""
        self.in_flight += 1
        outcome = "ok"
        try:
            return await self._post[request.path](request)
        except ServingError as error:
            outcome = error.outcome
            return error_response(error)
        except Exception:
            outcome = "error"
            return _bug()
        finally:
            self.in_flight -= 1
            self.last_prediction = now = perf_counter()
            self.metrics.finished(outcome, now - request.started)

    def _routes(self) -> tuple[dict[str, Handler], dict[str, Handler]]:
        model = f"/v2/models/{self.options.model}"
        get: dict[str, Handler] = {
            "/health": self._health,
            "/metrics": self._metrics,
            "/v2": self._server,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
        }
        post: dict[str, Handler] = {"/predict": self._predict}
        for base in (model, f"{model}/versions/{self.options.model_version}"):
            get[base] = self._model
            get[f"{base}/ready"] = self._ready
            post[f"{base}/infer"] = self._infer
        return get, post

    def _route(self, request: Request) -> Handler:
        path = request.path
        table = self._post if request.method == "POST" else self._get
        handler = table.get(path) or table.get(path.rstrip("/"))
        if handler is not None and request.method in ("GET", "HEAD", "POST"):
            return handler
        if path in self._get or path in self._post:
            allowed = "POST" if path in self._post else "GET"
            raise MethodNotAllowed(f"{path} answers to {allowed}, not to {request.method}")
        if path.startswith("/v2/models/"):
            raise NotFound(f"this server has the model {self.options.model!r} "
                           f"in version {self.options.model_version!r}, not {path}")  # fmt: skip
        raise NotFound(f"there is nothing at {path}; try /predict, /health, /metrics or /v2")

    async def _health(self, _: Request) -> Response:
        status = 200 if self.state is State.READY else 503
        return json_response(
            {"status": self.state.value, "model": self.options.model,
             "model_version": self.options.model_version},
            status,
        )  # fmt: skip

    async def _live(self, _: Request) -> Response:
        return json_response({"live": True})

    async def _ready(self, _: Request) -> Response:
        ready = self.state is State.READY
        return json_response({"ready": ready}, 200 if ready else 503)

    async def _metrics(self, _: Request) -> Response:
        return Response(200, self.metrics.text().encode(), CONTENT_TYPE.encode())

    async def _server(self, _: Request) -> Response:
        return json_response(server_metadata(_package_version()))

    async def _model(self, _: Request) -> Response:
        if self._loaded is None:
            raise Overloaded("the model is not loaded yet")
        signature = self._loaded.model.signature
        return json_response(model_metadata(self.options.model, [self.options.model_version], signature))

    async def _predict(self, request: Request) -> Response:
        codec = self._codec
        if codec is None:
            raise Overloaded("the model is not loaded yet")
        parsed = codec.parse(request.body)
        job = self._submit(request, parsed.inputs, parsed.rows)
        return Response(200, codec.render(parsed, await job.future))

    async def _infer(self, request: Request) -> Response:
        if self._loaded is None:
            raise Overloaded("the model is not loaded yet")
        signature = self._loaded.model.signature
        head_length = _head_length(request)
        parsed = parse_infer(request.body, head_length, signature, allow_nan=self.options.allow_nan)
        job = self._submit(request, parsed.inputs, parsed.rows)
        body, head = render_infer(
            self.options.model, self.options.model_version, parsed.id, signature, parsed.outputs,
            await job.future,
        )  # fmt: skip
        if head is None:
            return Response(200, body)
        headers: Headers = [(b"inference-header-content-length", str(head).encode())]
        return Response(200, body, BINARY, headers)

    def _submit(self, request: Request, inputs: list[Array], rows: int) -> Job:
        if rows > self.options.max_rows:
            raise TooLarge(f"{rows} rows are more than the {self.options.max_rows} of one request")
        if self._batcher is None:
            raise ModelFailed("the model is not there")
        return self._batcher.submit(inputs, rows, request.started + self._deadline)


def _bug() -> Response:
    """What went wrong is for the log, not for the caller."""
    traceback.print_exc(file=sys.stderr)
    return error_response(ServingError("the server failed on this request"))


def _head_length(request: Request) -> int | None:
    text = request.headers.get(b"inference-header-content-length")
    if text is None:
        return None
    if not text.isdigit():
        raise Malformed("must be a number of bytes", field="Inference-Header-Content-Length")
    return int(text)


def _package_version() -> str:
    try:
        return version("slipway")
    except PackageNotFoundError:
        return "0"
