"""The gRPC server, on the event loop that also serves HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from deploy.serving.admission import Admission
from deploy.serving.call import AwaitedCall, bug
from deploy.serving.errors import DeadlineExceeded, Malformed, NotFound, ServingError
from deploy.serving.messages import Response
from deploy.serving.oip.response import model_config, server_metadata
from deploy.serving.repository import Slot
from deploy.serving.served import DEADLINE_HEADER
from deploy.serving.version import package_version

from .messages import SERVICE, methods
from .wire import RpcRequest

Context = Any  # grpc.aio.ServicerContext is generic over types that nobody gives it
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""The status of an error, by the one it has over HTTP; anything else is INTERNAL."""


class RpcCall(AwaitedCall):
    """A prediction whose refusal is a status and not a body."""

    __slots__ = ()

    def refusal(self, error: ServingError) -> Response:
        return refusal(error)


def refusal(error: ServingError) -> Response:
    """What a status and its message are made of."""
    return Response(error.status, str(error).encode())


class RpcServer:
    """Answers GRPCInferenceService for the models of one process."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._messages = methods()
        self._server: Any = None

    async def start(self, address: str) -> int:
        """Listen on `host:port`; returns the port. Raises RuntimeError when that cannot be."""
        limit = self._admission.options.max_body_bytes
        # The limit is on the message; its frame needs a little more, and our own check names the limit.
        options = [("grpc.max_receive_message_length", limit + 1024), ("grpc.max_send_message_length", -1),
                   ("grpc.so_reuseport", 0)]  # fmt: skip
        handlers = {name: self._handler(name) for name in self._messages}
        self._server = grpc.aio.server(options=options)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        port: int = self._server.add_insecure_port(address)
        await self._server.start()
        return port

    async def stop(self, seconds: float) -> None:
        """Refuse new calls; those under way have `seconds`."""
        if self._server is not None:
            await self._server.stop(seconds)

    def _handler(self, name: str) -> Any:
        if name == "ModelInfer":
            # Bytes in, bytes out: parsing is part of the prediction, and its failure is counted as one.
            return grpc.unary_unary_rpc_method_handler(self._infer)
        request, response = self._messages[name]
        return grpc.unary_unary_rpc_method_handler(
            partial(self._answer, getattr(self, f"_{name}"), response),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )

    async def _answer(
        self, method: Callable[[Any, Context], Awaitable[dict[str, Any]]], response: Any, request: Any,
        context: Context,
    ) -> Any:  # fmt: skip
        try:
            return response(**await method(request, context))
        except ServingError as error:
            await _abort(context, error.status, str(error))
        except Exception:
            await _abort(context, 500, str(bug()))

    async def _infer(self, body: bytes, context: Context) -> bytes:
        predicted = self._predict(body, context)
        del body  # the context keeps the frame of an aborted call until the next garbage collection
        response = await predicted
        if response.status != 200:
            await _abort(context, response.status, response.body.decode())
        return response.body

    async def _predict(self, body: bytes, context: Context) -> Response:
        started = perf_counter()
        headers = _headers(context.invocation_metadata())
        remaining = context.time_remaining()
        if remaining is not None:
            headers.setdefault(DEADLINE_HEADER, repr(max(remaining * 1000, 0.001)).encode())
        request = RpcRequest("POST", f"/{SERVICE}/ModelInfer", headers, body, started)
        try:
            request.message = _parsed(self._messages["ModelInfer"][0], body)
            slot = self._slot(request.message.model_name, request.message.model_version)
        except ServingError as error:
            return refusal(error)
        return await self._call(request, slot)

    async def _call(self, request: RpcRequest, slot: Slot) -> Response:
        call = RpcCall(self._admission, slot, "rpc", request)
        try:
            self._admission.admit(request, slot)
            self._admission.take(request, len(request.body))
        except ServingError as error:
            call.fail(error)
        else:
            call.begin()
        try:
            return await call.future
        except asyncio.CancelledError:
            call.fail(DeadlineExceeded("the client went away, or its deadline passed"))
            raise

    def _slot(self, name: str, version: str) -> Slot:
        slot = self._admission.repository.slots.get(name)
        if slot is None or version not in ("", slot.options.model_version):
            raise NotFound(f"this server has {self._admission.repository.listed()}, not {name!r} {version!r}")
        return slot

    def _admin(self, context: Context) -> None:
        headers = _headers(context.invocation_metadata())
        self._admission.admit_admin(RpcRequest("POST", f"/{SERVICE}", headers, b"", perf_counter()))

    async def _ServerLive(self, _: Any, __: Context) -> dict[str, Any]:  # noqa: N802
        return {"live": True}

    async def _ServerReady(self, _: Any, __: Context) -> dict[str, Any]:  # noqa: N802
        return {"ready": self._admission.is_ready}

    async def _ModelReady(self, request: Any, _: Context) -> dict[str, Any]:  # noqa: N802
        return {"ready": self._admission.model_ready(self._slot(request.name, request.version))}

    async def _ServerMetadata(self, _: Any, __: Context) -> dict[str, Any]:  # noqa: N802
        return server_metadata(package_version())

    async def _ModelMetadata(self, request: Any, _: Context) -> dict[str, Any]:  # noqa: N802
        return self._slot(request.name, request.version).model.metadata()

    async def _ModelConfig(self, request: Any, _: Context) -> dict[str, Any]:  # noqa: N802
        served = self._slot(request.name, request.version).model
        return {"config": model_config(request.name, served.signature, served.max_batch)}

    async def _RepositoryIndex(self, request: Any, context: Context) -> dict[str, Any]:  # noqa: N802
        self._admin(context)
        models = self._admission.repository.index()
        return {"models": [item for item in models if item["state"] == "READY" or not request.ready]}

    async def _RepositoryModelLoad(self, request: Any, context: Context) -> dict[str, Any]:  # noqa: N802
        self._admin(context)
        name = request.model_name or request.repository_name
        await self._admission.repository.load(name)
        return {"model_name": name, "isLoaded": True}

    async def _RepositoryModelUnload(self, request: Any, context: Context) -> dict[str, Any]:  # noqa: N802
        self._admin(context)
        name = request.model_name or request.repository_name
        self._admission.repository.unload(name)
        return {"model_name": name, "isUnloaded": True}


def _parsed(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise Malformed("the message is not a ModelInferRequest") from None


def _headers(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[bytes, bytes]:
    return {
        name.encode(): value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        for name, value in metadata or ()
    }


async def _abort(context: Context, status: int, text: str) -> None:
    """End the call; always raises."""
    await context.abort(CODES.get(status, grpc.StatusCode.INTERNAL), text)
