"""What every prediction passes on its way in and out: who may ask, what is under way, log and samples."""

from __future__ import annotations

import enum
import sys
from time import perf_counter

from .access_log import AccessLog
from .api_keys import ApiKeys
from .config import Options
from .errors import Forbidden, Overloaded
from .messages import Request, Response, request_id
from .metrics import Metrics
from .pace import Pace
from .repository import Repository, Slot
from .sampling import Destination, Sampler
from .served import Asked


class State(enum.Enum):
    """Where the process is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Admission:
    """One for all models and protocols of a process, on its event loop.

    `in_flight` and `last_prediction` (perf_counter seconds) tell when it is quiet.
    """

    def __init__(self, options: Options) -> None:
        """Raises LoadError when the API keys or the list of models cannot be read."""
        self.options = options
        self.state = State.STARTING
        self.in_flight = 0
        self.pending = 0
        self.last_prediction = 0.0
        self.pace = Pace()
        self.repository = Repository(options)
        self._keys = ApiKeys(options.api_keys) if options.api_keys else None
        labels = self.repository.first.metrics.labels
        self._log = AccessLog(sys.stdout.buffer, labels) if options.access_log else None
        self.sampler = sampler_of(options)

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

    @property
    def needs_keys(self) -> bool:
        """Whether predictions need an API key."""
        return self._keys is not None

    @property
    def is_ready(self) -> bool:
        """Everything is loaded, and the process stays."""
        return self.state is State.READY

    def model_ready(self, slot: Slot) -> bool:
        """Whether predictions of this model are answered and the process stays."""
        return self.is_ready and slot.served is not None

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
        """Whether this client may see and change what is loaded.

        Raises:
            Forbidden: it is switched off, or the key is not an admin's; Unauthorized, RateLimited: as ever.
        """
        if not self.options.repository:
            raise Forbidden("models cannot be loaded or unloaded here; start the server with --repository on")
        if self._keys is not None and not self._keys.admit(request.headers).admin:
            raise Forbidden('this needs an API key with "admin": true')

    def finished(self, asked: Asked, metrics: Metrics, response: Response, status: int, outcome: str) -> None:
        """Count and log one answered prediction; `metrics` are those of the version that answered."""
        self.in_flight -= 1
        request = asked.request
        self.pending -= request.pending
        self.last_prediction = now = perf_counter()
        metrics.finished(outcome, now - request.started)
        if self._log is not None:
            self._log.record(request, status, outcome, metrics.labels)
        if self.state is not State.READY or b"x-request-id" in request.headers:
            self.finish_headers(request, response)

    def finish_headers(self, request: Request, response: Response) -> None:
        """Add what every answer says: the request's id, and that a connection closes."""
        if self.state is State.DRAINING:
            response.headers.append((b"connection", b"close"))
        found = request_id(request.headers)
        if found is not None:
            response.headers.append((b"x-request-id", found))


def sampler_of(options: Options) -> Sampler | None:
    """What samples predictions, if they have somewhere to go."""
    if not options.sample_url:
        return None
    destination = Destination(options.sample_url, options.sample_token, options.sample_token_file)
    segment = [name.strip() for name in options.sample_segment.split(",") if name.strip()]
    return Sampler(destination, options.sample_rate, segment)
