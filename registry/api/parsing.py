"""How the API reads a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError

from registry.domain.plain import check_plain


class JSONParser(parsers.JSONParser):
    """JSON that every store and reader takes; see `registry.domain.plain`."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            value = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
        check_plain(value)
        return value
