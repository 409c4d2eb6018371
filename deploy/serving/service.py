"""What the server answers: one model version behind the plain and the Open Inference protocol."""

from __future__ import annotations

import enum
import sys
import traceback
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter

from .access_log import AccessLog
from .api_keys import ApiKeys
from .config import Options
from .errors import MethodNotAllowed, NotFound, Overloaded, ServingError
from .exposition import CONTENT_TYPE
from .loading import Loaded
from .messages import Request, Response, error_response, json_response
from .metrics import Metrics
from .oip.response import server_metadata
from .openapi import document
from .served import ServedModel

Handler = Callable[[Request], Awaitable[Response]]


class State(enum.Enum):
    """Where the process is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Service:
    """Routes requests; `in_flight` and `last_prediction` (perf_counter seconds) tell when it is quiet."""

    def __init__(self, options: Options) -> None:
        """Raises LoadError when the API keys cannot be read."""
        self.options = options
        self.state = State.STARTING
        self.metrics = Metrics(options.endpoint, options.model, options.model_version)
        self.in_flight = 0
        self.last_prediction = 0.0
        self._served: ServedModel | None = None
        self._keys = ApiKeys(options.api_keys) if options.api_keys else None
        self._log = AccessLog(sys.stdout.buffer, self.metrics.labels) if options.access_log else None
        self._get, self._post = self._routes()

    def accept(self, loaded: Loaded) -> None:
        """Take the loaded model and become ready. Raises LoadError if the histograms do not fit it."""
        self._served = ServedModel(self.options, loaded, self.metrics)
        if self.state is State.STARTING:
            self.state = State.READY

    def drain(self) -> None:
        """Stop being ready; requests that still come are answered, each on a connection that closes."""
        self.state = State.DRAINING

    def close(self) -> None:
        """Let go of threads and write what is left of the log."""
        if self._served is not None:
            self._served.close()
        if self._log is not None:
            self._log.close()

    def admit(self, request: Request) -> bool:
        """Whether the request's body is wanted; called before it is read.

        Raises:
            Unauthorized, RateLimited: the client may not ask for predictions, or not so often;
            Overloaded: the queue is full. To refuse before parsing keeps an overloaded server productive.
        """
        if not self._is_prediction(request):
            return False
        if self._keys is not None:
            request.client = self._keys.admit(request.headers)
        self._model().check_room()
        return True

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
        """The answer to a request that was not admitted, or whose body could not be taken."""
        if self._is_prediction(request):
            self._finished(request, error.status, error.outcome)
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
        status, outcome = 200, "ok"
        try:
            return await self._post[request.path](request)
        except ServingError as error:
            status, outcome = error.status, error.outcome
            return error_response(error)
        except Exception:
            status, outcome = 500, "error"
            return _bug()
        finally:
            self.in_flight -= 1
            self._finished(request, status, outcome)

    def _finished(self, request: Request, status: int, outcome: str) -> None:
        self.last_prediction = now = perf_counter()
        self.metrics.finished(outcome, now - request.started)
        if self._log is not None:
            self._log.record(request, status, outcome)

    @property
    def paths(self) -> set[str]:
        """Every path that is answered."""
        return {*self._get, *self._post}

    def _routes(self) -> tuple[dict[str, Handler], dict[str, Handler]]:
        model = f"/v2/models/{self.options.model}"
        get: dict[str, Handler] = {
            "/health": self._health,
            "/metrics": self._metrics,
            "/openapi.json": self._openapi,
            "/v2": self._server,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
        }
        post: dict[str, Handler] = {"/predict": self._predict}
        for base in (model, f"{model}/versions/{self.options.model_version}"):
            get[base] = self._metadata
            get[f"{base}/ready"] = self._ready
            post[f"{base}/infer"] = self._infer
        return get, post

    def _route(self, request: Request) -> Handler:
        path = request.path
        table = self._post if request.method == "POST" else self._get
        handler = table.get(path)
        if handler is not None and request.method in ("GET", "HEAD", "POST"):
            return handler
        if path in self._get or path in self._post:
            allowed = "POST" if path in self._post else "GET"
            raise MethodNotAllowed(f"{path} answers to {allowed}, not to {request.method}")
        if path.startswith("/v2/models/"):
            raise NotFound(f"this server has the model {self.options.model!r} "
                           f"in version {self.options.model_version!r}, not {path}")  # fmt: skip
        raise NotFound(f"there is nothing at {path}; try /predict, /health, /metrics, /v2 or /openapi.json")

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

    async def _metadata(self, _: Request) -> Response:
        return json_response(self._model().metadata())

    async def _openapi(self, _: Request) -> Response:
        options = self.options
        return json_response(document(options.model, options.model_version, self._model().signature))

    async def _predict(self, request: Request) -> Response:
        return await self._model().predict(request)

    async def _infer(self, request: Request) -> Response:
        return await self._model().infer(request)

    def _model(self) -> ServedModel:
        if self._served is None:
            raise Overloaded("the model is not loaded yet")
        return self._served


def _bug() -> Response:
    """What went wrong is for the log, not for the caller."""
    traceback.print_exc(file=sys.stderr)
    return error_response(ServingError("the server failed on this request"))


def _package_version() -> str:
    try:
        return version("slipway")
    except PackageNotFoundError:
        return "0"
