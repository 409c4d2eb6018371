"""Reading a batch: JSON, optionally gzip, never more than a bounded number of bytes."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from monitoring.samples.ingest import MAX_RECORDS
from registry.errors import Invalid, TooLarge

MAX_BYTES = 4 << 20


class BatchParser(BaseParser):
    """JSON of at most 4 MiB before and after unpacking."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise TooLarge(f"The body is larger than {MAX_BYTES >> 20} MiB.", hint="Send smaller batches.")
        coding = parser_context["request"].META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        if coding not in {"", "identity", "gzip"}:
            raise Invalid(
                f"The content coding {ascii(coding[:40])} is not known.", hint="Send gzip, or none."
            )
        try:
            return orjson.loads(_unpacked(body) if coding == "gzip" else body)
        except orjson.JSONDecodeError as error:
            raise Invalid(f"The body is not JSON: {error}.") from error


def _unpacked(body: bytes) -> bytes:
    """The content of one gzip member; a bomb is given up at the limit."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = inflater.decompress(body, MAX_BYTES + 1)
    except zlib.error as error:
        raise Invalid(f"The body is not gzip: {error}.") from error
    if len(content) > MAX_BYTES:
        raise TooLarge(f"The body unpacks to more than {MAX_BYTES >> 20} MiB.", hint="Send smaller batches.")
    if not inflater.eof:
        raise Invalid("The gzip body is cut off.")
    return content


def records_of(request: Request) -> list[object]:
    """The batch's records; Invalid for anything but `{"records": […]}` with 1 to 1,000 of them."""
    body = request.data
    if not isinstance(body, Mapping) or set(body) != {"records"} or not isinstance(body["records"], list):
        raise Invalid('The body must be {"records": […]}.', field="records")
    if not 0 < len(body["records"]) <= MAX_RECORDS:
        raise Invalid(
            f"A batch has 1 to {MAX_RECORDS:,} records, not {len(body['records']):,}.", field="records"
        )
    records: list[object] = body["records"]
    return records
