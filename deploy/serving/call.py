"""One prediction from its first byte to its answer, whichever way it came."""

from __future__ import annotations

import asyncio
import sys
import traceback

from .admission import Admission
from .datatypes import Array
from .errors import QueueFull, ServingError
from .messages import Request, Response, error_response
from .repository import Slot
from .served import Asked, ServedModel


class Call(Asked):
    """Parses, queues and renders one prediction, and is counted once, however it ends.

    Subclasses say how the answer leaves, in `deliver`.
    """

    __slots__ = ("admission", "slot", "wire", "answered", "metrics", "served")

    served: ServedModel

    def __init__(self, admission: Admission, slot: Slot, wire: str, request: Request) -> None:
        self.admission = admission
        self.slot = slot
        self.wire = wire
        self.request = request
        self.answered = False
        self.metrics = slot.metrics
        """Of the version that answers, which the slot may have replaced before it has."""
        self.cache_key: bytes | None = None
        admission.in_flight += 1

    def begin(self) -> None:
        """Parse the body and queue it; the answer may leave before this returns."""
        try:
            self.served = served = self.slot.served or self.slot.model
            self.metrics = served.metrics
            self.codec = served.wires[self.wire]
            served.start(self)
        except ServingError as error:
            self.fail(error)
        except Exception:
            self.fail(bug())

    def done(self) -> bool:
        return self.answered

    def succeed(self, outputs: list[Array]) -> None:
        try:
            response = self.served.finish(self, outputs)
        except ServingError as error:
            self.fail(error)
        except Exception:
            self.fail(bug())
        else:
            if self.admission.sampler is not None:
                self.admission.sampler.offer(self, self.metrics.labels, self.served.signature, outputs)
            self._end(response, 200, "ok")

    def fail(self, error: ServingError) -> None:
        if self.answered:
            return
        wait = self.admission.pace.wait() if isinstance(error, QueueFull) else 0.0
        if wait:
            self.answered = True
            asyncio.get_running_loop().call_later(wait, self._fail_now, error)
        else:
            self._fail_now(error)

    def _fail_now(self, error: ServingError) -> None:
        self._end(self.refusal(error), error.status, error.outcome)

    def refusal(self, error: ServingError) -> Response:
        """The answer that says what went wrong."""
        return error_response(error)

    def deliver(self, response: Response) -> None:
        """Send the answer."""
        raise NotImplementedError

    def _end(self, response: Response, status: int, outcome: str) -> None:
        self.answered = True
        self.admission.finished(self, self.metrics, response, status, outcome)
        self.deliver(response)


class AwaitedCall(Call):
    """A call whose caller waits on `future`."""

    __slots__ = ("future",)

    def __init__(self, admission: Admission, slot: Slot, wire: str, request: Request) -> None:
        super().__init__(admission, slot, wire, request)
        self.future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def deliver(self, response: Response) -> None:
        if not self.future.done():
            self.future.set_result(response)


def bug() -> ServingError:
    """What went wrong is for the log, not for the caller."""
    traceback.print_exc(file=sys.stderr)
    return ServingError("the server failed on this request")
