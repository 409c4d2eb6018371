"""What the server answers: its models behind the plain and the Open Inference protocol."""

from __future__ import annotations

import enum
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from . import admin, status
from .access_log import AccessLog
from .api_keys import ApiKeys
from .call import AwaitedCall, Call, bug
from .config import Options
from .errors import MethodNotAllowed, NotFound, Overloaded, ServingError
from .messages import Request, Response, error_response, request_id
from .pace import Pace
from .repository import Repository, Slot
from .sampling import Destination, Sampler

Handler = Callable[[Request], Awaitable[Response]]


class State(enum.Enum):
    """Where the process is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a prediction's path leads: to which model, in which protocol."""

    slot: Slot
    wire: str


class Service:
    """Routes requests; `in_flight` and `last_prediction` (perf_counter seconds) tell when it is quiet."""

    def __init__(self, options: Options) -> None:
        """Raises LoadError when the API keys or the list of models cannot be read."""
        self.options = options
        self.state = State.STARTING
        self.in_flight = 0
        self.pending = 0
        self.last_prediction = 0.0
        self.pace = Pace()
        self.repository = Repository(options, self._paths_changed)
        self._keys = ApiKeys(options.api_keys) if options.api_keys else None
        labels = self.repository.first.metrics.labels
        self._log = AccessLog(sys.stdout.buffer, labels) if options.access_log else None
        self.sampler = sampler_of(options)
        self._get: dict[str, Handler] = {}
        self.predictions: dict[str, Route] = {}
        self.fast: dict[bytes, Route] = {}
        self._paths_changed()

    def ready(self) -> None:
        """Everything is loaded."""
        if self.state is State.STARTING:
            self.state = State.READY

    def drain(self) -> None:
        """Stop being ready; requests that still come are answered, each on a connection that closes."""
        self.state = State.DRAINING
        self.pace.hold = False

    def close(self) -> None:
        """Let go of threads and write what is left of the log."""
        self.repository.close()
        if self.sampler is not None:
            self.sampler.close()
        if self._log is not None:
            self._log.close()

    def admit(self, request: Request, slot: Slot) -> None:
        """Called before the body of a prediction is read: to refuse then keeps a busy server productive.

        Raises:
            Unauthorized, RateLimited: the client may not ask for predictions, or not so often;
            Overloaded: the queue is full, or the model is not there yet.
        """
        if self._keys is not None:
            request.client = self._keys.admit(request.headers).name
        (slot.served or slot.model).check_room()

    def take(self, request: Request, size: int) -> None:
        """Count `size` bytes of a body that arrived; they are pending until the request is answered.

        Raises:
            Overloaded: the bodies of all requests together are larger than what the server may hold.
        """
        self.pending += size
        request.pending += size
        if self.pending > self.options.max_pending_bytes:
            raise Overloaded("too many bytes of other requests are waiting for their answers")

    def admit_admin(self, request: Request) -> None:
        """Raise Forbidden, Unauthorized or RateLimited unless the client may change what is loaded."""
        admin.check(self.options.repository, self._keys, request.headers)

    def prediction(self, request: Request) -> Route | None:
        """The route of a prediction; None for everything else."""
        return self.predictions.get(request.path) if request.method == "POST" else None

    async def predict(self, request: Request, route: Route) -> Response:
        """Answer an admitted prediction whose body is there; never raises."""
        call = AwaitedCall(self, route.slot, route.wire, request)
        call.begin()
        return await call.future

    async def refuse(self, request: Request, route: Route, error: ServingError) -> Response:
        """The answer to a prediction that was not admitted, or whose body could not be taken."""
        call = AwaitedCall(self, route.slot, route.wire, request)
        call.fail(error)
        return await call.future

    async def handle(self, request: Request) -> Response:
        """Answer anything but a prediction; never raises."""
        try:
            response = await self._route(request)(request)
        except ServingError as error:
            response = error_response(error)
        except Exception:
            response = error_response(bug())
        self._finish_headers(request, response)
        return response

    def finished(self, call: Call, response: Response, status: int, outcome: str) -> None:
        """Count and log one answered prediction."""
        self.in_flight -= 1
        self.pending -= call.request.pending
        self.last_prediction = now = perf_counter()
        request, slot = call.request, call.slot
        slot.metrics.finished(outcome, now - request.started)
        if self._log is not None:
            self._log.record(request, status, outcome, slot.metrics.labels)
        if self.state is not State.READY or b"x-request-id" in request.headers:
            self._finish_headers(request, response)

    def _finish_headers(self, request: Request, response: Response) -> None:
        if self.state is State.DRAINING:
            response.headers.append((b"connection", b"close"))
        found = request_id(request.headers)
        if found is not None:
            response.headers.append((b"x-request-id", found))

    @property
    def needs_keys(self) -> bool:
        """Whether predictions need an API key."""
        return self._keys is not None

    @property
    def is_ready(self) -> bool:
        """Everything is loaded, and the process stays."""
        return self.state is State.READY

    @property
    def paths(self) -> set[str]:
        """Every path that is answered."""
        return {*self._get, *self.predictions, *admin.PATHS}

    def _paths_changed(self) -> None:
        get: dict[str, Handler] = {
            "/health": partial(status.health, self),
            "/metrics": partial(status.metrics, self),
            "/openapi.json": partial(status.openapi, self),
            "/v2": partial(status.server, self),
            "/v2/health/live": partial(status.live, self),
            "/v2/health/ready": partial(status.ready, self),
        }
        post = {"/predict": Route(self.repository.first, "plain")}
        for name, slot in self.repository.slots.items():
            post[f"/predict/{name}"] = Route(slot, "plain")
            model = f"/v2/models/{name}"
            for base in (model, f"{model}/versions/{slot.options.model_version}"):
                get[base] = partial(status.metadata, self, slot)
                get[f"{base}/ready"] = partial(status.model_ready, self, slot)
                get[f"{base}/config"] = partial(status.config, self, slot)
                post[f"{base}/infer"] = Route(slot, "infer")
        self._get, self.predictions = get, post
        # By the bytes of the request line; a path that is written in another way goes the long way.
        self.fast = {path.encode(): route for path, route in post.items()}

    def _route(self, request: Request) -> Handler:
        path, method = request.path, request.method
        if path in self._get and method in ("GET", "HEAD"):
            return self._get[path]
        if path in self._get or path in self.predictions:
            allowed = "POST" if path in self.predictions else "GET"
            raise MethodNotAllowed(f"{path} answers to {allowed}, not to {method}", allowed=allowed)
        if path.startswith("/v2/repository/"):
            return partial(admin.handle, self)
        if path.startswith("/v2/models/"):
            raise NotFound(f"this server has {self.models()}, not {path}")
        raise NotFound(f"there is nothing at {path}; try /predict, /health, /metrics, /v2 or /openapi.json")

    def models(self) -> str:
        """What there is, for whoever asked for something else."""
        slots = self.repository.slots.items()
        return ", ".join(
            f"the model {name!r} in version {slot.options.model_version!r}" for name, slot in slots
        )

    def model_ready(self, slot: Slot) -> bool:
        """Whether predictions of this model are answered and the process stays."""
        return self.is_ready and slot.served is not None


def sampler_of(options: Options) -> Sampler | None:
    """What samples predictions, if they have somewhere to go."""
    if not options.sample_url:
        return None
    destination = Destination(options.sample_url, options.sample_token, options.sample_token_file)
    segment = [name.strip() for name in options.sample_segment.split(",") if name.strip()]
    return Sampler(destination, options.sample_rate, segment)
