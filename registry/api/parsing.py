"""How the API reads a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError

from registry.domain.plain import check_plain, parsed


class JSONParser(parsers.JSONParser):
    """JSON that every store and reader takes; see `registry.domain.plain`.

    A kind of DRF's own, which is given the body as Django read it, within its limit.
    """

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            value = parsed(stream.read())
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        check_plain(value)
        return value
