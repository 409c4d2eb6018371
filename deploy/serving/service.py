"""What the server answers: its models behind the plain and the Open Inference protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from . import admin, status
from .admission import Admission
from .call import AwaitedCall, bug
from .errors import MethodNotAllowed, NotFound, ServingError
from .messages import Request, Response, error_response
from .repository import Slot

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a prediction's path leads: to which model, in which protocol."""

    slot: Slot
    wire: str


class Service:
    """Routes HTTP requests."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self._get: dict[str, Handler] = {}
        self.predictions: dict[str, Route] = {}
        self.fast: dict[bytes, Route] = {}
        admission.repository.changed = self._paths_changed
        self._paths_changed()

    def prediction(self, request: Request) -> Route | None:
        """The route of a prediction; None for everything else."""
        return self.predictions.get(request.path) if request.method == "POST" else None

    async def predict(self, request: Request, route: Route) -> Response:
        """Answer an admitted prediction whose body is there; never raises."""
        call = AwaitedCall(self.admission, route.slot, route.wire, request)
        call.begin()
        return await call.future

    async def refuse(self, request: Request, route: Route, error: ServingError) -> Response:
        """The answer to a prediction that was not admitted, or whose body could not be taken."""
        call = AwaitedCall(self.admission, route.slot, route.wire, request)
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
        self.admission.finish_headers(request, response)
        return response

    @property
    def paths(self) -> set[str]:
        """Every path that is answered."""
        return {*self._get, *self.predictions, *admin.PATHS}

    def _paths_changed(self) -> None:
        admission, repository = self.admission, self.admission.repository
        get: dict[str, Handler] = {
            "/health": partial(status.health, admission),
            "/metrics": partial(status.metrics, admission),
            "/openapi.json": partial(status.openapi, admission),
            "/v2": partial(status.server, admission),
            "/v2/health/live": partial(status.live, admission),
            "/v2/health/ready": partial(status.ready, admission),
        }
        post = {"/predict": Route(repository.first, "plain")}
        for name, slot in repository.slots.items():
            post[f"/predict/{name}"] = Route(slot, "plain")
            model = f"/v2/models/{name}"
            for base in (model, f"{model}/versions/{slot.options.model_version}"):
                get[base] = partial(status.metadata, admission, slot)
                get[f"{base}/ready"] = partial(status.model_ready, admission, slot)
                get[f"{base}/config"] = partial(status.config, admission, slot)
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
            return partial(admin.handle, self.admission)
        if path.startswith("/v2/models/"):
            raise NotFound(f"this server has {self.admission.repository.listed()}, not {path}")
        raise NotFound(f"there is nothing at {path}; try /predict, /health, /metrics, /v2 or /openapi.json")
