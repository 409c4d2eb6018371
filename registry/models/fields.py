"""Columns and query sets that keep what was stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.db import models

from registry.domain.chain import canonical
from registry.errors import Conflict

_M = TypeVar("_M", bound=models.Model)
if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class CanonicalJSONField(_TextField):
    """JSON kept as its canonical text.

    A `jsonb` column would rewrite numbers (1e5 becomes 100000), and a hash over them would not survive
    the round trip.
    """

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else canonical(value)


class KeptQuerySet(models.QuerySet[_M]):
    """Refuses bulk updates of anything outside the model's `MUTABLE` columns, and bulk deletion."""

    def update(self, **values: Any) -> int:
        _refuse_change(self.model, set(values))
        return super().update(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        raise Conflict(f"{self.model._meta.verbose_name_plural} are never deleted.".capitalize())


class KeptManager(models.Manager[_M]):
    """Hands out `KeptQuerySet`s."""

    def get_queryset(self) -> KeptQuerySet[_M]:
        return KeptQuerySet(self.model, using=self._db)


class Kept(models.Model):
    """A row written once: afterwards only its `MUTABLE` columns may change, and it is never deleted."""

    MUTABLE: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            fields = kwargs.get("update_fields")
            everything = {field.name for field in self._meta.concrete_fields if not field.primary_key}
            _refuse_change(type(self), everything if fields is None else set(fields))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise Conflict(f"A {self._meta.verbose_name} is never deleted.")


def _refuse_change(model: type[models.Model], names: set[str]) -> None:
    fixed = sorted(names - getattr(model, "MUTABLE", frozenset()))
    if fixed:
        raise Conflict(
            f"A {model._meta.verbose_name} is immutable: {', '.join(fixed)} cannot change.",
            hint="Record a new one instead.",
        )
