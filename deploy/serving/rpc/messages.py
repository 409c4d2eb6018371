"""The protocol's messages, made from `inference.binpb`, which is `inference.proto` compiled.

They live in a descriptor pool of their own: in a process that also imports a client of the protocol, the
client's copy of the same names would clash with ours in protobuf's default pool.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

DESCRIPTORS = Path(__file__).with_name("inference.binpb")
SERVICE = "inference.GRPCInferenceService"

_pool = DescriptorPool()
for _file in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
    _pool.Add(_file)


def methods() -> dict[str, tuple[Any, Any]]:
    """Request and response class of every method of the service."""
    found = _pool.FindServiceByName(SERVICE).methods
    return {
        item.name: (GetMessageClass(item.input_type), GetMessageClass(item.output_type)) for item in found
    }


def message(name: str) -> Any:
    """The class of one message, by its name in the file."""
    return GetMessageClass(_pool.FindMessageTypeByName(f"inference.{name}"))
