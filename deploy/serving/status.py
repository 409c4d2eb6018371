"""What the server says about itself and its models: health, metadata, metrics, its interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import gpu
from .exposition import CONTENT_TYPE
from .messages import Request, Response, json_response
from .metrics import exposition
from .oip.response import model_config, server_metadata
from .openapi import document
from .repository import Slot
from .version import package_version

if TYPE_CHECKING:
    from .service import Service


async def health(service: Service, _: Request) -> Response:
    status = 200 if service.is_ready else 503
    options = service.repository.first.options
    return json_response(
        {"status": service.state.value, "model": options.model, "model_version": options.model_version},
        status,
    )


async def live(service: Service, _: Request) -> Response:
    return json_response({"live": True})


async def ready(service: Service, _: Request) -> Response:
    return json_response({"ready": service.is_ready}, 200 if service.is_ready else 503)


async def model_ready(service: Service, slot: Slot, _: Request) -> Response:
    ready = service.model_ready(slot)
    return json_response({"name": slot.options.model, "ready": ready}, 200 if ready else 503)


async def metrics(service: Service, _: Request) -> Response:
    versions = [slot.metrics for slot in service.repository.slots.values()]
    more = list(service.sampler.families()) if service.sampler is not None else []
    if any(slot.served is not None and slot.served.on_gpu for slot in service.repository.slots.values()):
        more += gpu.families()
    return Response(200, exposition(versions, more).encode(), CONTENT_TYPE.encode())


async def server(service: Service, _: Request) -> Response:
    return json_response(server_metadata(package_version()))


async def metadata(service: Service, slot: Slot, _: Request) -> Response:
    return json_response(slot.model.metadata())


async def config(service: Service, slot: Slot, _: Request) -> Response:
    served = slot.model
    return json_response(model_config(slot.options.model, served.signature, served.max_batch))


async def openapi(service: Service, _: Request) -> Response:
    slots = service.repository.slots.values()
    served = [slot.served for slot in slots if slot.served is not None] or [service.repository.first.model]
    models = [(one.options.model, one.options.model_version, one.signature) for one in served]
    plain = service.repository.first.served is not None
    return json_response(document(models, plain=plain, keys=service.needs_keys))
