"""What the server says about itself and its models: health, metadata, metrics, its interface."""

from __future__ import annotations

from . import gpu
from .admission import Admission
from .exposition import CONTENT_TYPE
from .messages import Request, Response, json_response
from .metrics import exposition
from .oip.response import model_config, server_metadata
from .openapi import document
from .repository import Slot
from .version import package_version


async def health(admission: Admission, _: Request) -> Response:
    status = 200 if admission.is_ready else 503
    options = admission.repository.first.options
    return json_response(
        {"status": admission.state.value, "model": options.model, "model_version": options.model_version},
        status,
    )


async def live(admission: Admission, _: Request) -> Response:
    return json_response({"live": True})


async def ready(admission: Admission, _: Request) -> Response:
    return json_response({"ready": admission.is_ready}, 200 if admission.is_ready else 503)


async def model_ready(admission: Admission, slot: Slot, _: Request) -> Response:
    ready = admission.model_ready(slot)
    return json_response({"name": slot.options.model, "ready": ready}, 200 if ready else 503)


async def metrics(admission: Admission, _: Request) -> Response:
    versions = [slot.metrics for slot in admission.repository.slots.values()]
    more = list(admission.sampler.families()) if admission.sampler is not None else []
    if any(slot.served is not None and slot.served.on_gpu for slot in admission.repository.slots.values()):
        more += gpu.families()
    return Response(200, exposition(versions, more).encode(), CONTENT_TYPE.encode())


async def server(admission: Admission, _: Request) -> Response:
    return json_response(server_metadata(package_version()))


async def metadata(admission: Admission, slot: Slot, _: Request) -> Response:
    return json_response(slot.model.metadata())


async def config(admission: Admission, slot: Slot, _: Request) -> Response:
    served = slot.model
    return json_response(model_config(slot.options.model, served.signature, served.max_batch))


async def openapi(admission: Admission, _: Request) -> Response:
    slots = admission.repository.slots.values()
    served = [slot.served for slot in slots if slot.served is not None] or [admission.repository.first.model]
    models = [(one.options.model, one.options.model_version, one.signature) for one in served]
    plain = admission.repository.first.served is not None
    return json_response(document(models, plain=plain, keys=admission.needs_keys))
