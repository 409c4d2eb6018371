"""The arguments of a call: from the query or the JSON body, checked and typed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpRequest

from registry.domain.foreign import plain
from registry.errors import Invalid
from registry.mlflow.errors import ProtocolError

_LARGEST = 2**63 - 1
_MORE = " See the API docs for more information about request parameters."
# What a text may have when nothing else is said: longer than every column's own limit.
_TEXT = 200_000


class Arguments:
    """Read by name in snake_case; camelCase is understood too. Unknown ones are ignored, as MLflow does."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def has(self, name: str) -> bool:
        """Whether the argument was sent and is not null."""
        return self._raw(name) is not None

    def text(self, name: str, default: str = "", *, maximum: int = _TEXT) -> str:
        """A text, `default` when it was not sent."""
        value = self._raw(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise _wrong(name, value)
        return plain(value, field=name, maximum=maximum)

    def need(self, name: str) -> str:
        """A text that must be there."""
        return self.text(name) or _missing(name)

    def maybe(self, name: str) -> str | None:
        """A text, None when it was not sent."""
        return self.text(name) if self.has(name) else None

    def whole(self, name: str, default: int | None = None) -> int | None:
        """A whole number of 64 bits, also written as text."""
        value = self._raw(name)
        if value is None:
            return default
        return whole_number(name, value)

    def limit(self, default: int, maximum: int, name: str = "max_results") -> int:
        """How many rows are asked for."""
        value = self.whole(name, default)
        assert value is not None
        if 1 <= value <= maximum:
            return value
        raise Invalid(
            f"Invalid value {value} for parameter '{name}' supplied: It must be a positive integer, "
            f"at most {maximum}.",
            field=name,
        )

    def flag(self, name: str) -> bool:
        """true or false; false when it was not sent."""
        value = self._raw(name)
        if value in {None, False, "false", ""} and not isinstance(value, int | float) or value is False:
            return False
        if value is True or value == "true":
            return True
        raise _wrong(name, value)

    def texts(self, name: str) -> list[str]:
        """A list of texts; one alone counts as a list."""
        return [
            plain(item, field=name, maximum=_TEXT) if isinstance(item, str) else _raise(_wrong(name, item))
            for item in self.items(name)
        ]

    def items(self, name: str, maximum: int = 100_000) -> list[Any]:
        """A list; nothing sent is an empty one."""
        value = self._raw(name)
        if value is None:
            return []
        if isinstance(value, str) and isinstance(self._data, _Query):
            return self._data.repeated(name)
        if not isinstance(value, list):
            raise _wrong(name, value)
        if len(value) > maximum:
            raise Invalid(f"A list of more than {maximum} items is not taken.", field=name)
        return value

    def objects(self, name: str, maximum: int = 100_000) -> list[Arguments]:
        """A list of objects."""
        found = self.items(name, maximum)
        return [self.object(name, item) for item in found]

    @staticmethod
    def object(name: str, item: Any) -> Arguments:
        """An item of the list `name`, which must be an object."""
        if not isinstance(item, dict):
            raise _wrong(name, item)
        return Arguments(item)

    def pairs(self, name: str, maximum: int = 100_000) -> list[tuple[str, str]]:
        """A list of `{"key", "value"}`; a value that was not sent is ""."""
        found = self.objects(name, maximum)
        return [
            (item.text("key") or _missing(f"{name}[{i}].key"), item.text("value", maximum=2_000_000))
            for i, item in enumerate(found)
        ]

    def part(self, name: str) -> Arguments:
        """An object; nothing sent is an empty one."""
        value = self._raw(name)
        if value is not None and not isinstance(value, Mapping):
            raise _wrong(name, value)
        return Arguments(value or {})

    def value(self, name: str, where: str = "") -> Any:
        """The argument as it was sent; it must be there. `where` leads to it in the message."""
        value = self._raw(name)
        return _missing(f"{where}{name}") if value is None or value == "" else value

    def _raw(self, name: str) -> Any:
        value = self._data.get(name)
        if "_" in name:
            head, *rest = name.split("_")
            camel = self._data.get(head + "".join(part.capitalize() for part in rest))
            if camel is not None:
                if value is not None:
                    raise Invalid(f"Parameter {name!r} was sent twice.", field=name)
                return camel
        return value


class _Query(dict[str, Any]):
    """A query string: the last of repeated parameters, and all of them on request."""

    def __init__(self, query: Any) -> None:
        super().__init__(query.dict())
        self._query = query

    def repeated(self, name: str) -> list[str]:
        return list(self._query.getlist(name))


def arguments_of(request: HttpRequest) -> Arguments:
    """From the query of a GET, else from the JSON body; one that is no JSON counts as empty, as in MLflow."""
    if request.method == "GET" and request.META.get("QUERY_STRING"):
        return Arguments(_Query(request.GET))
    # Clients send a DELETE that says all in its path without a body, and then without a type.
    if request.method != "GET" and not (request.method == "DELETE" and not request.body):
        kind = request.content_type.partition(";")[0].strip().lower() if request.content_type else ""
        if kind != "application/json":
            raise ProtocolError(
                "INVALID_PARAMETER_VALUE", "Bad Request. Content-Type must be one of ['application/json']."
            )
    data = _json(request.body)
    if isinstance(data, str):
        data = _json(data.encode(errors="replace"))
    return Arguments(data if isinstance(data, dict) else {})


def whole_number(name: str, value: Any) -> int:
    """A whole number of 64 bits, also written as text or as a float without fraction."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = int(value)
        except ValueError:
            raise _wrong(name, value) from None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, value)
    if not -_LARGEST <= value <= _LARGEST:
        raise Invalid(f"Invalid value for parameter '{name}' supplied: It has more than 64 bits.", field=name)
    return value


def real_number(name: str, value: Any) -> tuple[float, bool]:
    """A number and whether it is none: NaN is (0, True); infinities stay what they are."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong(name, value)
    try:
        number = float(value if not isinstance(value, str) else value[:60])
    except ValueError:
        raise _wrong(name, value) from None
    except OverflowError:
        number = math.copysign(math.inf, value)  # type: ignore[arg-type]
    return (0.0, True) if math.isnan(number) else (number, False)


def _json(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        # Some clients write NaN and Infinity, which are no JSON.
        return json.loads(body)
    except (ValueError, RecursionError):
        return {}


def _wrong(name: str, value: Any) -> Invalid:
    shown = json.dumps(value, sort_keys=True, default=str)[:200]
    return Invalid(
        f"Invalid value {shown} for parameter '{name}' supplied:  "
        f"Hint: Value was of type '{type(value).__name__}'.{_MORE}",
        field=name,
    )


def _missing(name: str) -> Any:
    raise Invalid(f"Missing value for required parameter '{name}'.{_MORE}", field=name)


def _raise(error: Exception) -> Any:
    raise error
