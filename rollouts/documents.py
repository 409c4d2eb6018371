"""Files that operators write, as the settings name them: what is wrong in one is said by its path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from typing import Any, ClassVar, Protocol

from django.core.exceptions import ImproperlyConfigured


class Shape(Protocol):
    """A dataclass whose fields all have defaults."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """`value`, which must be a mapping."""
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"{path}: {value!r} is not a mapping.")
    return value


def only_known(given: Iterable[str], known: Iterable[str], path: str) -> None:
    """Refuses a field that there is not, and names those there are."""
    there = sorted(known)
    for name in given:
        if name not in there:
            raise ImproperlyConfigured(f"{path}.{name}: there is no such field. Known: {', '.join(there)}.")


def values(
    given: Mapping[str, Any], shape: Shape, path: str, besides: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """What `given` says for the fields of `shape`, each of the type of its default; lists become tuples.

    besides: fields that no file sets.
    """
    known = {one.name: type(getattr(shape, one.name)) for one in fields(shape) if one.name not in besides}
    only_known(given, known, path)
    read: dict[str, Any] = {}
    for name, value in given.items():
        wanted = known[name]
        read[name] = mapping(value, f"{path}.{name}") if wanted is dict else value
        if isinstance(value, list) and wanted is tuple:
            read[name] = tuple(value)
        if not isinstance(read[name], wanted) or (wanted is int and isinstance(value, bool)):
            raise ImproperlyConfigured(f"{path}.{name}: {value!r} is not a {wanted.__name__}.")
    return read
